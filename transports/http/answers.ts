/** Answers with the headers that every answer of the gateway carries. They never hold a request's body or credential. */
import type { HttpAnswer } from './http-server.ts';

export function jsonAnswer(status: number, value: unknown): HttpAnswer {
  return typedAnswer(status, 'application/json', JSON.stringify(value));
}

/** Nothing here is a page: no cache keeps it, no browser runs, frames or sniffs it. */
export function typedAnswer(status: number, contentType: string, body: string): HttpAnswer {
  const headers = {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'content-type': contentType,
  };
  return { status, headers, body };
}

export function withHeaders(
  answer: HttpAnswer,
  more: Readonly<Record<string, string>>,
): HttpAnswer {
  for (const name in more) answer.headers[name] = more[name] ?? '';
  return answer;
}
