/** How an incarnation's end is put into words. */
import type { ExitCause } from '../actor.ts';
import { codeOf, messageOf } from '../errors.ts';

export const STOPPED: ExitCause = { kind: 'stopped', code: 'shutdown' };

/** A crash by something thrown; `fallback` is the code of an error without one. */
export function toCrash(
  error: unknown,
  about: { readonly fallback: string; readonly during: string; readonly subject: string },
): ExitCause {
  const code = codeOf(error);
  return {
    kind: 'crashed',
    code: code === 'uncoded' ? about.fallback : code,
    message: `${about.during}: ${messageOf(error)}`,
    stack: error instanceof Error ? (error.stack ?? '') : '',
    ...(about.subject === '' ? {} : { subject: about.subject }),
  };
}
