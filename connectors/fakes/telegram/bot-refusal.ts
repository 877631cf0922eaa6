/** How the fake says no: the status and words of the real Bot API. */

export class BotRefusal extends Error {
  readonly code = 'bot_refusal';
  readonly status: number;
  readonly parameters: Readonly<Record<string, number | string>>;

  constructor(
    status: number,
    description: string,
    parameters: Readonly<Record<string, number | string>> = {},
  ) {
    super(description);
    this.name = 'BotRefusal';
    this.status = status;
    this.parameters = parameters;
  }

  toJson(): Readonly<Record<string, unknown>> {
    const hasParameters = Object.keys(this.parameters).length > 0;
    return {
      ok: false,
      error_code: this.status,
      description: this.message,
      ...(hasParameters ? { parameters: this.parameters } : {}),
    };
  }
}

export function tooManyRequests(retryAfterS: number): BotRefusal {
  const words = `Too Many Requests: retry after ${retryAfterS}`;
  return new BotRefusal(429, words, { retry_after: retryAfterS });
}
