/** Keeps what actors save: one writer for all threads, which joins what is waiting into one commit. It refuses the past. */
import { type Deferred, defineActor } from '../actor.ts';
import type { Clock } from '../clock.ts';
import { codeOf } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { OWN_MODULE } from '../supervision/supervisor.ts';
import type { KeeperProtocol, LoadRequest, Refusal, Stamp } from './protocol.ts';

export const STATE_TABLE = 'actor_state';

/** Of the paths that used it last: an older incarnation of another one is not known as such any more. */
const FENCES = 100_000;
const MAX_HELD_VALUES = 100_000;
const MAX_HELD_BYTES = 64 * 1_024 * 1_024;
/** Waiting for a commit, those that one value replaced included. */
const MAX_WAITING_SAVES = 10_000;

interface Value {
  readonly version: number;
  readonly bytes: Uint8Array | null;
}

/** What one commit writes: of a path's values the last one. */
class Batch {
  readonly values = new Map<string, Value>();
  readonly answers: Deferred<Refusal>[] = [];
  saves = 0;
  bytes = 0;
}

interface State {
  readonly store: Store;
  readonly fences: Map<string, Stamp>;
  /** What the store has not got: of a path that saved last to memory, or whose commit is not flushed. */
  readonly held: Map<string, Value>;
  heldBytes: number;
  waiting: Batch;
  /** Settles when nothing is waiting any more. */
  writing: Promise<void> | undefined;
  /** The code with which the store failed: nothing is believed after that. */
  failure: Refusal;
}

export interface KeeperArgs {
  readonly store: Store;
}

export const keeperActor = defineActor<KeeperProtocol, KeeperProtocol, KeeperArgs, State, unknown>({
  module: OWN_MODULE,
  export: 'keeperActor',
  name: 'state-keeper',
  mailbox: { limitMessages: 65_536, overflow: 'reject' },
  start: (_self, { store }) => ({
    store,
    fences: new Map(),
    held: new Map(),
    heldBytes: 0,
    waiting: new Batch(),
    writing: undefined,
    failure: '',
  }),
  receive: {
    load(state, request) {
      const refusal = refuse(state, request);
      if (refusal !== '') return { refusal, ...NOTHING };
      try {
        return { refusal, ...find(state, request.path) };
      } catch (error) {
        return { refusal: codeOf(error), ...NOTHING };
      }
    },
    save(state, request, self) {
      const { path, durability, version, bytes } = request;
      const refusal = refuse(state, request);
      if (refusal !== '') return refusal;
      if (!hasRoom(state, path, sizeOf(request))) return 'state_full';
      const value = { version, bytes };
      hold(state, path, value);
      if (durability === 'memory') return '';
      const { waiting } = state;
      waiting.values.set(path, value);
      waiting.saves += 1;
      waiting.bytes += sizeOf(value);
      state.writing ??= write(state, self.clock);
      if (durability === 'queued') return '';
      const later = self.defer<Refusal>();
      waiting.answers.push(later);
      return later.promise;
    },
  },
  stop: ({ writing }) => writing,
});

const NOTHING: Value = { version: 0, bytes: null };

/** Whoever asks is the latest that its path has had, or is refused. */
function refuse({ fences, failure }: State, { path, stamp }: LoadRequest): Refusal {
  const known = fences.get(path);
  if (known !== undefined && isBefore(stamp, known)) return 'stale_incarnation';
  fences.delete(path);
  fences.set(path, stamp);
  if (fences.size > FENCES) {
    const [oldest = path] = fences.keys();
    fences.delete(oldest);
  }
  return failure;
}

function isBefore(stamp: Stamp, known: Stamp): boolean {
  const at = stamp.findIndex((number, index) => number !== known[index]);
  return at !== -1 && (stamp[at] ?? 0) < (known[at] ?? 0);
}

function find({ held, store }: State, path: string): Value {
  const { version, bytes } = held.get(path) ?? store.read(STATE_TABLE, path)?.row ?? NOTHING;
  return { version, bytes } as Value;
}

function hasRoom({ held, heldBytes, waiting }: State, path: string, bytes: number): boolean {
  return (
    waiting.saves < MAX_WAITING_SAVES &&
    Math.max(heldBytes, waiting.bytes) + bytes <= MAX_HELD_BYTES &&
    (held.has(path) || held.size < MAX_HELD_VALUES)
  );
}

function hold(state: State, path: string, value: Value): void {
  release(state, path);
  state.held.set(path, value);
  state.heldBytes += sizeOf(value);
}

function release(state: State, path: string): void {
  const value = state.held.get(path);
  if (value === undefined) return;
  state.heldBytes -= sizeOf(value);
  state.held.delete(path);
}

function sizeOf({ bytes }: Value): number {
  return bytes?.length ?? 0;
}

/** One commit after the other until nothing is waiting; each takes what came while the one before it was under way. */
async function write(state: State, clock: Clock): Promise<void> {
  // What stands in the mailbox beside the first save goes with it.
  await undefined;
  while (state.waiting.values.size > 0 && state.failure === '') {
    const batch = state.waiting;
    state.waiting = new Batch();
    try {
      await state.store.commit([toChanges(batch)], clock.wallMs());
      for (const [path, value] of batch.values) {
        if (state.held.get(path) === value) release(state, path);
      }
    } catch (error) {
      state.failure = codeOf(error);
      for (const { resolve } of state.waiting.answers) resolve(state.failure);
      state.waiting = new Batch();
    }
    for (const { resolve } of batch.answers) resolve(state.failure);
  }
  state.writing = undefined;
}

function toChanges({ values }: Batch) {
  const put = [];
  const remove = [];
  for (const [key, { version, bytes }] of values) {
    if (bytes === null) remove.push({ table: STATE_TABLE, key });
    else put.push({ table: STATE_TABLE, key, row: { v: 1, version, bytes } });
  }
  return { expect: [], put, remove, facts: [] };
}
