/** Our errors as RFC 9457 problem documents: which status a code has, and when to come back. */
import {
  ERROR_CODES,
  type ErrorCategory,
  type ErrorCode,
  type WireError,
} from '../../proto/errors.ts';
import { typedAnswer, withHeaders } from './answers.ts';
import type { HttpAnswer } from './http-server.ts';

const STATUS_OF_CATEGORY: Readonly<Record<ErrorCategory, number>> = {
  auth: 401,
  validation: 400,
  policy: 403,
  not_found: 404,
  conflict: 409,
  limit: 429,
  dependency: 409,
  availability: 503,
  internal: 500,
};

/** Where HTTP has a closer word than the category. */
const STATUS_OF_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  method_not_allowed: 405,
  payload_too_large: 413,
  busy: 429,
  deadline_exceeded: 504,
  planned: 501,
  auth_failed: 502,
};

/** What a sender waits for where the error does not say: a full queue empties soon, a full disk does not. */
const DEFAULT_RETRY_AFTER_SECONDS: Readonly<Partial<Record<ErrorCode, number>>> = {
  storage_low: 30,
  secret_unavailable: 30,
  stopping: 5,
  unavailable: 2,
};

const MAX_DETAIL_CHARACTERS = 512;
const MAX_ISSUES = 32;

export function statusOf(code: ErrorCode): number {
  return STATUS_OF_CODE[code] ?? STATUS_OF_CATEGORY[ERROR_CODES[code][0]];
}

/**
 * The answer to an error: `application/problem+json` with `type`, `title`, `status`, `detail`, `code`, `retryable` and,
 * where fields are wrong, `issues`. 401 names the scheme; 429 and 503 always say when to come back, in whole seconds.
 */
export function problemAnswer(
  error: WireError,
  more: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): HttpAnswer {
  const [, retryable, title] = ERROR_CODES[error.code];
  const status = more.status ?? statusOf(error.code);
  const retryAfter = retryAfterSeconds(error, status);
  const document = {
    type: `urn:palyra:problem:${error.code}`,
    title,
    status,
    detail: shorten(error.message),
    code: error.code,
    retryable,
    ...(retryAfter === undefined ? {} : { retry_after_seconds: retryAfter }),
    ...(error.issues === undefined || error.issues.length === 0
      ? {}
      : { issues: error.issues.slice(0, MAX_ISSUES).map(toIssue) }),
  };
  const answer = typedAnswer(status, 'application/problem+json', JSON.stringify(document));
  if (status === 401) answer.headers['www-authenticate'] = schemeOf(error.code);
  if (retryAfter !== undefined) answer.headers['retry-after'] = String(retryAfter);
  return withHeaders(answer, more.headers ?? {});
}

/** RFC 9110 wants one with every 401; a webhook's sender proves itself by its signature. */
function schemeOf(code: ErrorCode): string {
  return code === 'unauthorized' ? 'Bearer realm="palyra"' : 'StandardWebhooks';
}

function retryAfterSeconds(error: WireError, status: number): number | undefined {
  if (error.retryAfterMs !== undefined) return Math.max(1, Math.ceil(error.retryAfterMs / 1_000));
  if (status !== 429 && status !== 503) return undefined;
  return DEFAULT_RETRY_AFTER_SECONDS[error.code] ?? 1;
}

function toIssue({ field, message }: { readonly field: string; readonly message: string }) {
  return { field: shorten(field), message: shorten(message) };
}

function shorten(text: string): string {
  return text.length <= MAX_DETAIL_CHARACTERS ? text : `${text.slice(0, MAX_DETAIL_CHARACTERS)}…`;
}
