/** `self.remind`: what one incarnation may do with the reminders kept for its path. The keeper decides; this asks it. */
import type { ReminderTime } from '../actor.ts';
import { RuntimeError } from '../errors.ts';
import { encodeValue } from '../store/encoding.ts';
import { checkKey } from '../store/keys.ts';
import type { Cell } from './cell.ts';
import { askKeeper, checkRefusal, keeperOf, placeOf } from './keeper-access.ts';
import type { KernelSelf } from './self.ts';

const MAX_NAME = 64;
const MAX_PAYLOAD_BYTES = 64 * 1_024;
/** Each time costs a commit. */
const SHORTEST_PERIOD_MS = 1_000;

export async function remind(
  cell: Cell,
  self: KernelSelf,
  name: string,
  when: ReminderTime,
  kind: string,
  given: unknown,
): Promise<void> {
  const { path, compiled } = cell;
  const place = placeOf(cell, self.incarnation);
  checkName(cell, name);
  if (compiled?.definition.reminders !== true)
    throw bad(path, "its definition says 'reminders: true'", compiled?.definition.reminders);
  if (compiled.kinds[kind] === undefined)
    throw new RuntimeError('unknown_kind', `${path} handles no '${kind}'`);
  const reminder = {
    kind,
    payload: encodeValue(given, path, MAX_PAYLOAD_BYTES),
    ...timesOf(path, when, cell.kernel.host.wallMs()),
  };
  const refusal = await askKeeper(cell, self, 'remind', { ...place, name, reminder });
  checkRefusal(cell, self, refusal);
}

export async function cancelReminder(cell: Cell, self: KernelSelf, name: string): Promise<void> {
  const place = placeOf(cell, self.incarnation);
  checkName(cell, name);
  checkRefusal(cell, self, await askKeeper(cell, self, 'cancel', { ...place, name }));
}

/** To the keeper, where it may have reminders for this actor. One that is lost makes late reminders later, no more. */
export function announce(cell: Cell): void {
  if (cell.compiled?.definition.reminders !== true) return;
  const place = placeOf(cell, cell.incarnation);
  cell.kernel.send(keeperOf(cell.path), 'awake', place, undefined, cell);
}

function timesOf(path: string, when: ReminderTime, nowMs: number) {
  const { afterMs, atWallMs, everyMs = 0 } = when;
  const dueAtMs = atWallMs ?? nowMs + (afterMs ?? Number.NaN);
  if (
    !Number.isFinite(dueAtMs) ||
    (afterMs ?? 0) < 0 ||
    (afterMs !== undefined && atWallMs !== undefined)
  )
    throw bad(path, 'afterMs, 0 or more, or atWallMs', afterMs ?? atWallMs);
  if (everyMs !== 0 && !(everyMs >= SHORTEST_PERIOD_MS && Number.isFinite(everyMs)))
    throw bad(path, `everyMs of at least ${SHORTEST_PERIOD_MS}`, everyMs);
  return { dueAtMs, waitMs: Math.max(0, dueAtMs - nowMs), everyMs };
}

function checkName(cell: Cell, name: string): void {
  if (name === '' || name.length > MAX_NAME || name.includes('#'))
    throw bad(
      cell.path,
      `a name of 1 to ${MAX_NAME} characters without #`,
      name.slice(0, MAX_NAME),
    );
  checkKey(`${cell.path}#${name}`);
}

function bad(path: string, expected: string, value: unknown): RuntimeError {
  return new RuntimeError(
    'bad_option',
    `${path}: a reminder has ${expected}, not ${String(value)}`,
  );
}
