/** The error base of the gateway and its wire form. Codes are stable: programs script against them. */

export const ERROR_CATEGORIES = [
  'auth',
  'validation',
  'policy',
  'not_found',
  'conflict',
  'limit',
  'dependency',
  'availability',
  'internal',
] as const;
export type ErrorCategory = (typeof ERROR_CATEGORIES)[number];

/** code → category, retryable, title. Transports map the category to their own status. */
export const ERROR_CODES = {
  unauthorized: ['auth', false, 'No valid credential'],
  signature_missing: ['auth', false, 'A webhook header is missing'],
  signature_invalid: ['auth', false, 'The webhook signature does not match'],
  timestamp_stale: ['auth', false, 'The webhook timestamp is outside the allowed window'],
  forbidden: ['policy', false, 'Not allowed'],
  webhook_disabled: ['policy', false, 'The webhook is disabled'],
  message_rejected: ['policy', false, 'The router rejected the message'],
  read_only: ['policy', false, 'Declared in the configuration file; change it there'],
  not_found: ['not_found', false, 'No such thing'],
  method_not_allowed: ['validation', false, 'The path does not take this method'],
  malformed: ['validation', false, 'The request cannot be read'],
  validation_error: ['validation', false, 'A field is wrong'],
  payload_too_large: ['limit', false, 'The body is larger than allowed'],
  idempotency_conflict: ['conflict', false, 'The same id was used with another body'],
  revision_conflict: ['conflict', true, 'The row changed meanwhile'],
  already_exists: ['conflict', false, 'It exists already'],
  failed_precondition: ['dependency', false, 'It is not in a state for this'],
  conversation_busy: ['limit', true, 'The conversation has too many waiting messages'],
  rate_limited: ['limit', true, 'Too many requests'],
  busy: ['availability', true, 'The queue is full'],
  storage_low: ['availability', true, 'The disk is nearly full'],
  unavailable: ['availability', true, 'A part of the gateway is not available'],
  deadline_exceeded: ['availability', true, 'It took too long'],
  stopping: ['availability', true, 'The gateway is stopping'],
  planned: ['dependency', false, 'Not served yet'],
  secret_unavailable: ['availability', true, 'A secret reference cannot be resolved'],
  auth_failed: ['dependency', false, 'The platform refused the credential'],
  invalid_options: ['validation', false, 'An option is wrong'],
  internal_error: ['internal', false, 'A defect in the gateway'],
} as const satisfies Record<string, readonly [ErrorCategory, boolean, string]>;
export type ErrorCode = keyof typeof ERROR_CODES;

export interface FieldIssue {
  readonly field: string;
  readonly message: string;
}

/** What crosses a border: no stack, no cause, no secret. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly issues?: readonly FieldIssue[];
}

export class PalyraError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly issues: readonly FieldIssue[];

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly cause?: unknown;
      readonly retryAfterMs?: number;
      readonly issues?: readonly FieldIssue[];
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PalyraError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.issues = options.issues ?? [];
  }

  get category(): ErrorCategory {
    return ERROR_CODES[this.code][0];
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code][1];
  }

  toWire(): WireError {
    return {
      code: this.code,
      message: this.message,
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      ...(this.issues.length === 0 ? {} : { issues: this.issues }),
    };
  }
}

/** Anything thrown, as it may cross a border: a `PalyraError` as it is, anything else `internal_error` without its text. */
export function toWireError(error: unknown): WireError {
  if (error instanceof PalyraError) return error.toWire();
  return { code: 'internal_error', message: 'The gateway met a defect; its log has the details.' };
}

export function assertNever(value: never): never {
  throw new PalyraError('internal_error', `unexpected variant ${JSON.stringify(value)}`);
}
