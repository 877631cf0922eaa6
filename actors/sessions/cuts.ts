/** What cut a run before its end, how long it waits before it is made again, and when it is given up. Pure. */
import type { InboxRow } from '../router/rows.ts';

/** What cut a run: it will be made again, or given up. */
export interface Cut {
  /** It had begun, and begins anew. */
  readonly attempt: boolean;
  /** The flight recorder, or its own crash, names it as the cause. */
  readonly blamed: boolean;
  /** What ended was the process, or all sessions with their dispatcher: whether the run had begun then is not known. */
  readonly processEnd: boolean;
}

/** Crashes charged to one run before it is not tried again. */
export const MAX_CRASHES = 2;
/** Deaths of its thread or session, charged to nobody, after which it is taken to be the one that kills them. */
export const MAX_ATTEMPTS = 25;
/**
 * Ends of the process name nobody: the flight recorder ends with it. With the waits between them so many are eight hours in
 * which no process outlived the run, whichever it was.
 */
export const MAX_PROCESS_ENDS = 200;

/** A process that is killed and started again answers at once what it cut. */
const ENDS_WITHOUT_WAIT = 3;
const WAIT_MIN_MS = 1_000;
const WAIT_MAX_MS = 300_000;

/**
 * Before a run begins anew after an end of the process, which was preceded by so many. Runs that were cut together wait
 * apart (`random` in [0, 1)), so that the one that kills the process leaves the others time to end.
 */
export function waitAfterProcessEndMs(processEnds: number, random: number): number {
  if (processEnds < ENDS_WITHOUT_WAIT) return 0;
  const ceilingMs = Math.min(WAIT_MAX_MS, WAIT_MIN_MS * 2 ** (processEnds - ENDS_WITHOUT_WAIT));
  return (ceilingMs * (1 + random)) / 2;
}

/** Why a run is not made again; '' where it is. */
export function givenUpFor(row: InboxRow): '' | 'crashed_repeatedly' | 'cut_too_often' {
  if (row.crashes >= MAX_CRASHES) return 'crashed_repeatedly';
  const isCutTooOften =
    row.attempts - row.processEnds >= MAX_ATTEMPTS || row.processEnds >= MAX_PROCESS_ENDS;
  return isCutTooOften ? 'cut_too_often' : '';
}
