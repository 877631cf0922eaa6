/** What the routes read from a request's head: credential, trace, request id, idempotency key. Wrong ones are as none. */
import { PalyraError } from '../../proto/errors.ts';
import type { HttpRequest } from './http-server.ts';

export interface RequestIds {
  /** 32 hex digits: the caller's own, from `traceparent` (https://www.w3.org/TR/trace-context/), else a new one. */
  readonly trace: string;
  /** The caller's `x-request-id` where it is a plain word, else the trace; stands in the answer. */
  readonly requestId: string;
}

const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
const BEARER = /^bearer +([\x21-\x7e]{1,4096}) *$/i;
const BEARER_TOKEN = /^[\x21-\x7e]{1,4096}$/;

/** Whether a request can carry it: 1 to 4,096 visible ASCII characters. */
export function isBearerToken(text: string): boolean {
  return BEARER_TOKEN.test(text);
}

export function idsOf(request: HttpRequest, nextTraceId: () => string): RequestIds {
  const trace = TRACEPARENT.exec(request.headers.traceparent ?? '')?.[1] ?? nextTraceId();
  const sent = request.headers['x-request-id'] ?? '';
  return { trace, requestId: REQUEST_ID.test(sent) ? sent : trace };
}

/** '' where there is none, or more than one. */
export function bearerOf(request: HttpRequest): string {
  return BEARER.exec(request.headers.authorization ?? '')?.[1] ?? '';
}

/** '' for none; a key that could not be kept is refused, since the caller counts on it. */
export function idempotencyKeyOf(request: HttpRequest): string {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return '';
  if (IDEMPOTENCY_KEY.test(key)) return key;
  throw new PalyraError(
    'validation_error',
    'Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.',
  );
}
