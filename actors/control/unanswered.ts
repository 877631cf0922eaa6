/** An ask without a reply, in the words that callers of the gateway know. */
import { PalyraError } from '../../proto/errors.ts';
import type { AskError } from '../../runtime/errors.ts';

/** `deadline_exceeded` where it was late, `busy` where its queue was full, else `unavailable`. */
export function unanswered(cause: AskError): PalyraError {
  if (cause.code === 'ask_timeout') {
    const message = 'a part of the gateway did not answer in time';
    return new PalyraError('deadline_exceeded', message, { cause });
  }
  const code = cause.code === 'mailbox_full' ? 'busy' : 'unavailable';
  const message = `a part of the gateway is not available (${cause.code})`;
  return new PalyraError(code, message, { cause, retryAfterMs: 1_000 });
}
