/** Answers with the headers that every answer of the gateway carries. They never hold a request's body or credential. */
import type { HttpAnswer } from './http-server.ts';

/** Nothing here is a page: no cache keeps it, no browser runs, frames or sniffs it. */
const SAFE_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

export function jsonAnswer(status: number, value: unknown): HttpAnswer {
  return typedAnswer(status, 'application/json', JSON.stringify(value));
}

export function typedAnswer(
  status: number,
  contentType: string,
  body: string,
  more: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return { status, headers: { ...SAFE_HEADERS, 'content-type': contentType, ...more }, body };
}

export function withHeaders(
  answer: HttpAnswer,
  more: Readonly<Record<string, string>>,
): HttpAnswer {
  return { ...answer, headers: { ...answer.headers, ...more } };
}
