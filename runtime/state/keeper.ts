/** Keeps what outlives actors, what they save and what they are to be reminded of: one writer for all threads. It refuses the past. */
import { type Deferred, defineActor, refTo, type Self } from '../actor.ts';
import { createDeferred } from '../deferred.ts';
import { codeOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { unpack } from '../store/encoding.ts';
import type { Store } from '../store/store.ts';
import { OWN_MODULE } from '../supervision/supervisor.ts';
import type { System } from '../system.ts';
import { Commits } from './commits.ts';
import type {
  KeeperProtocol,
  KeptReminder,
  Place,
  Refusal,
  ReminderPage,
  ReminderQuery,
  Stamp,
} from './protocol.ts';
import {
  type Delivery,
  type DeliveryEnd,
  Reminders,
  type RowChange,
  readKey,
} from './reminders.ts';

export const STATE_TABLE = 'actor_state';
export const REMINDERS_TABLE = 'actor_reminders';

/** Of the paths that used it last: an older incarnation of another one is not known as such any more. */
const FENCES = 100_000;
const MAX_HELD_VALUES = 100_000;
const MAX_HELD_BYTES = 64 * 1_024 * 1_024;
const PAGE_ROWS = 10_000;
/** Of a page that a host asks for. */
const LISTED_ROWS = 1_000;
/** A reminder that is not answered for so long is delivered again. */
const DELIVERY_MS = 60_000;
/** What actors of other threads answered before they ended is here by then. */
const LAST_ANSWERS_MS = 500;

interface Value {
  readonly version: number;
  readonly bytes: Uint8Array | null;
}

interface State {
  readonly args: KeeperArgs;
  readonly store: Store;
  readonly commits: Commits;
  readonly reminders: Reminders;
  /** Deliveries that are not answered. */
  readonly underWay: Set<Promise<void>>;
  readonly fences: Map<string, Stamp>;
  /** What the store has not got: of a path that saved last to memory, or whose commit is not flushed. */
  readonly held: Map<string, Value>;
  heldBytes: number;
  /** No answer changes anything any more. */
  isOver: boolean;
}

export interface KeeperArgs {
  readonly store: Store;
  readonly host: Pick<Host, 'setTimer' | 'nextTurn'>;
  /** From nobody, as a host asks: the keeper waits for no answer, so whoever is reminded may ask it. */
  readonly ask: System['ask'];
  /** A commit has failed: nothing more is kept. */
  failed(code: string): void;
}

interface Own {
  /** What is due leaves. */
  look(nothing: null): void;
}

/** An actor with reminders, of which only the rows know the kinds. */
type Reminded = Record<string, (payload: unknown) => unknown>;

export const keeperActor = defineActor<KeeperProtocol, Own, KeeperArgs, State, unknown>({
  module: OWN_MODULE,
  export: 'keeperActor',
  name: 'state-keeper',
  mailbox: { limitMessages: 65_536, overflow: 'reject' },
  start(self, args) {
    const { store, failed } = args;
    const reminders = new Reminders(self.clock);
    restore(reminders, store);
    plan(reminders, self);
    const commits = new Commits(store, self.clock, failed);
    const underWay = new Set<Promise<void>>();
    const fences = new Map<string, Stamp>();
    const kept = { fences, held: new Map<string, Value>(), heldBytes: 0 };
    return { args, store, commits, reminders, underWay, ...kept, isOver: false };
  },
  receive: {
    load(state, place) {
      const refusal = refuse(state, place);
      if (refusal !== '') return { refusal, ...NOTHING };
      try {
        return { refusal, ...find(state, place.path) };
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
      const write = {
        table: STATE_TABLE,
        key: path,
        row: bytes === null ? null : { v: 1, version, bytes },
        bytes: sizeOf(value),
        flushed() {
          if (state.held.get(path) === value) release(state, path);
        },
      };
      if (durability === 'committed')
        return whenFlushed(self, (answer) => state.commits.add(write, answer));
      state.commits.add(write);
      return '';
    },
    remind(state, request, self) {
      const { path, name, reminder } = request;
      const refusal = refuse(state, request);
      if (refusal !== '') return refusal;
      if (!hasRoomToCommit(state, reminder.payload.length)) return 'state_full';
      const change = state.reminders.set(path, name, reminder);
      if (change === undefined) return 'reminders_full';
      plan(state.reminders, self);
      return whenFlushed(self, (answer) => write(state, change, answer));
    },
    cancel(state, request, self) {
      const refusal = refuse(state, request);
      if (refusal !== '') return refusal;
      if (!hasRoomToCommit(state, 0)) return 'state_full';
      const change = state.reminders.cancel(request.path, request.name);
      return whenFlushed(self, (answer) => write(state, change, answer));
    },
    awake(state, place, self) {
      if (refuse(state, place) !== '') return;
      state.reminders.awake(place.path);
      plan(state.reminders, self);
    },
    listReminders: (state, query) => {
      try {
        return list(state, query);
      } catch (error) {
        return { refusal: codeOf(error), ...NO_REMINDERS };
      }
    },
    forgetReminders(state, path, self) {
      const { commits, reminders } = state;
      if (commits.failure !== '') return commits.failure;
      if (!hasRoomToCommit(state, 0)) return 'state_full';
      for (const change of reminders.forget(path)) write(state, change);
      // One that is not in memory any more may have a row: its removal is under way.
      return whenFlushed(self, (answer) => commits.whenFlushed(answer));
    },
    look(state, _nothing, self) {
      // What is confirmed could not be kept.
      if (state.commits.failure !== '') return;
      for (const delivery of state.reminders.release()) deliver(state, delivery, self);
      plan(state.reminders, self);
    },
  },
  /** Those who are reminded have ended by now: what they confirmed last is written too. Some never answer. */
  async stop(state) {
    const { args, underWay, commits } = state;
    const late = createDeferred<void>();
    const { host } = args;
    // Not before the answers are read that came while this thread was busy.
    const timer = host.setTimer(LAST_ANSWERS_MS, () => host.nextTurn(() => late.resolve()));
    await Promise.race([Promise.all(underWay), late.promise]);
    timer.cancel();
    state.isOver = true;
    await commits.ended;
  },
});

/** Its end is heard also while the keeper stops, when no message reaches it any more. */
function deliver(state: State, delivery: Delivery, self: Self<Own>): void {
  const { path, reminder } = delivery;
  const cut = path.indexOf('/');
  const ref = refTo<Reminded>(path.slice(0, cut), path.slice(cut + 1));
  const settled = (end: DeliveryEnd) => {
    state.underWay.delete(answered);
    if (state.isOver) return;
    const change = state.reminders.settled(delivery, end);
    if (change !== undefined) write(state, change);
    if (!self.signal.aborted) plan(state.reminders, self);
  };
  const answered = state.args
    .ask(ref, reminder.kind, unpack(reminder.payload), { inMs: DELIVERY_MS })
    .then(
      () => settled('done'),
      (error: unknown) => settled(endOf(error)),
    );
  state.underWay.add(answered);
}

function endOf(error: unknown): DeliveryEnd {
  const code = codeOf(error);
  // What its handler returned has no form: it was handled.
  if (code === 'not_encodable') return 'done';
  return code === 'actor_crashed' ? 'crashed' : 'missed';
}

const NO_REMINDERS = { total: 0, reminders: [], next: '' };

function list({ store, reminders }: State, { after, limit }: ReminderQuery): ReminderPage {
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= LISTED_ROWS))
    return { refusal: 'bad_option', ...NO_REMINDERS };
  const { rows, next } = store.scan({ table: REMINDERS_TABLE, after, limit });
  const listed = rows.map(({ key, row }) => {
    const { path, name } = readKey(key);
    const { kind, dueAtMs, everyMs } = row as unknown as KeptReminder;
    return { path, name, kind, dueAtMs, everyMs, attempts: reminders.attemptsOf(path, name) };
  });
  return { refusal: '', total: reminders.count, reminders: listed, next };
}

function restore(reminders: Reminders, store: Store): void {
  let after = '';
  do {
    const page = store.scan({ table: REMINDERS_TABLE, after, limit: PAGE_ROWS });
    for (const { key, row } of page.rows) reminders.restore(key, row);
    after = page.next;
  } while (after !== '');
}

function plan(reminders: Reminders, self: Self<Own>): void {
  const inMs = reminders.nextLookMs();
  if (inMs !== undefined) self.after('look', inMs, 'look', null);
}

/** The answer is given when what `add` adds is flushed. */
function whenFlushed(
  self: Self<unknown>,
  add: (answer: Deferred<Refusal>) => void,
): PromiseLike<Refusal> {
  const later = self.defer<Refusal>();
  add(later);
  return later.promise;
}

function write({ commits }: State, change: RowChange, answer?: Deferred<Refusal>): void {
  commits.add({ table: REMINDERS_TABLE, ...change }, answer);
}

const NOTHING: Value = { version: 0, bytes: null };

/** Whoever asks is the latest that its path has had, or is refused. */
function refuse({ fences, commits }: State, { path, stamp }: Place): Refusal {
  const known = fences.get(path);
  if (known !== undefined && isBefore(stamp, known)) return 'stale_incarnation';
  fences.delete(path);
  fences.set(path, stamp);
  if (fences.size > FENCES) {
    const [oldest = path] = fences.keys();
    fences.delete(oldest);
  }
  return commits.failure;
}

function isBefore(stamp: Stamp, known: Stamp): boolean {
  const at = stamp.findIndex((number, index) => number !== known[index]);
  return at !== -1 && (stamp[at] ?? 0) < (known[at] ?? 0);
}

function find({ held, store }: State, path: string): Value {
  const { version, bytes } = held.get(path) ?? store.read(STATE_TABLE, path)?.row ?? NOTHING;
  return { version, bytes } as Value;
}

function hasRoom(state: State, path: string, bytes: number): boolean {
  const { held, heldBytes } = state;
  return (
    hasRoomToCommit(state, bytes) &&
    heldBytes + bytes <= MAX_HELD_BYTES &&
    (held.has(path) || held.size < MAX_HELD_VALUES)
  );
}

function hasRoomToCommit({ commits }: State, bytes: number): boolean {
  return !commits.isFull && commits.waitingBytes + bytes <= MAX_HELD_BYTES;
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
