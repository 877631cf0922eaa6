/** Hashes a webhook's raw body and finds the message text in it: in place for small bodies, as a pool job for large ones. */
import { hash } from 'node:crypto';
import type { JobRequest } from '../../runtime/jobs/protocol.ts';

export interface DigestInput {
  readonly body: Uint8Array;
}

export type DigestOutput =
  | { readonly ok: true; readonly sha256: string; readonly text: string }
  /** `reason` holds nothing of the body. */
  | { readonly ok: false; readonly reason: string };

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The same work as a job: give it to the job pool with the body as `input`. */
export function digestJob(body: Uint8Array): JobRequest {
  return { module: import.meta.url, export: 'digestBody', input: { body } satisfies DigestInput };
}

/** Hex SHA-256 of the bytes, and `payload.text` where that is text, else the payload as compact JSON. */
export function digestBody({ body }: DigestInput): DigestOutput {
  let json: string;
  try {
    json = UTF_8.decode(body);
  } catch {
    return { ok: false, reason: 'the body is not UTF-8' };
  }
  let payload: unknown;
  try {
    payload = JSON.parse(json);
  } catch {
    return { ok: false, reason: 'the body is not JSON' };
  }
  const sha256 = hash('sha256', body, 'hex');
  return { ok: true, sha256, text: textOf(payload) ?? compact(json) };
}

function textOf(payload: unknown): string | undefined {
  if (typeof payload !== 'object' || payload === null || !Object.hasOwn(payload, 'text')) {
    return undefined;
  }
  const { text } = payload as { readonly text: unknown };
  if (typeof text !== 'string' || text.trim() === '') return undefined;
  // An escaped half of a surrogate pair is JSON, but not text that could be stored or sent.
  return text.toWellFormed();
}

// Not stringify(parse()): that would round large numbers and drop repeated keys.
function compact(json: string): string {
  let text = '';
  let from = 0;
  let isInString = false;
  for (let i = 0; i < json.length; i += 1) {
    const code = json.charCodeAt(i);
    if (isInString) {
      if (code === 0x5c) i += 1;
      else if (code === 0x22) isInString = false;
    } else if (code === 0x22) isInString = true;
    else if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      text += json.slice(from, i);
      from = i + 1;
    }
  }
  return text + json.slice(from);
}
