/**
 * Which reminder is due when, and what a delivery's end means for it. All of them are in memory, as the store has them.
 * It reads one clock, the wall's; it sends nothing and stores nothing.
 */
import type { Clock } from '../clock.ts';
import type { Row } from '../store/store.ts';
import { type Due, DueHeap } from './due-heap.ts';

const MAX_OF_AN_ACTOR = 64;
const MAX_REMINDERS = 100_000;
const MAX_BYTES = 64 * 1_024 * 1_024;
/** What waits for answers of actors: the others would use up the asks of the main thread. */
const MAX_DELIVERING = 4_096;
/** Released in a window: a wall clock that jumps makes many due together. */
const RELEASE = 100;
const RELEASE_WINDOW_MS = 50;
/** A jump of the wall clock is noticed within this. */
const LOOK_MS = 1_000;
/** The wall clock is slewed by less than this in so long. */
const JUMP_MS = 100;
const FIRST_RETRY_MS = 100;
/** Also how long the first delivery waits for an actor that is not known to run. */
const LAST_RETRY_MS = 60_000;

/** As it is kept, beside its actor's path and its name. */
export interface Reminder {
  readonly kind: string;
  readonly payload: Uint8Array;
  /** 0: once. */
  readonly everyMs: number;
  /** Of the wall clock. */
  readonly dueAtMs: number;
  /** How long it was to wait when it was set: a clock that is set back makes it wait no longer than that again. */
  readonly waitMs: number;
}

/** One reminder of one actor, under way to it. */
export interface Delivery {
  readonly path: string;
  readonly name: string;
  readonly reminder: Reminder;
}

/** What is to become of the row: null is to be removed. */
export interface RowChange {
  readonly key: string;
  readonly row: Row | null;
  readonly bytes: number;
}

interface Entry {
  readonly name: string;
  reminder: Reminder;
  /** Not delivered before: when it is due, or the next attempt. */
  nextAtMs: number;
  attempts: number;
  /** Its actor crashed at it: the next start is no reason to try it at once. */
  hasCrashed: boolean;
}

/** How a delivery ended. */
export type DeliveryEnd = 'done' | 'crashed' | 'missed';

/** An actor that has reminders. It is told one at a time; while it is, it is not in the heap. */
class Reminded implements Due {
  dueAtMs = 0;
  place = -1;
  readonly path: string;
  readonly entries = new Map<string, Entry>();
  delivering: Entry | undefined = undefined;

  constructor(path: string) {
    this.path = path;
  }
}

export class Reminders {
  readonly #clock: Clock;
  readonly #actors = new Map<string, Reminded>();
  readonly #heap = new DueHeap<Reminded>();
  #count = 0;
  #bytes = 0;
  #delivering = 0;
  #windowBeganMs = Number.NEGATIVE_INFINITY;
  #leftInWindow = RELEASE;
  #wallAheadMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wallAheadMs = clock.wallMs() - clock.monotonicMs();
  }

  /** One that an earlier process left. It waits for its actor to be there, or for a minute. */
  restore(key: string, row: Row): void {
    const { path, name } = readKey(key);
    const nowMs = this.#clock.wallMs();
    const reminder = clamped(row as unknown as Reminder, nowMs);
    const nextAtMs = Math.max(reminder.dueAtMs, nowMs + LAST_RETRY_MS);
    this.#add(this.#actor(path), name, reminder, nextAtMs);
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** What to write; undefined where there are too many. One of the same name is replaced. */
  set(path: string, name: string, reminder: Reminder): RowChange | undefined {
    const actor = this.#actors.get(path);
    const old = actor?.entries.get(name);
    const isNew = old === undefined;
    const bytes = sizeOf(reminder) - (isNew ? 0 : sizeOf(old.reminder));
    if (isNew && (this.#count >= MAX_REMINDERS || (actor?.entries.size ?? 0) >= MAX_OF_AN_ACTOR))
      return undefined;
    if (this.#bytes + bytes > MAX_BYTES) return undefined;
    if (actor !== undefined && !isNew) this.#drop(actor, old);
    this.#add(this.#actor(path), name, reminder, reminder.dueAtMs);
    return toPut(path, name, reminder);
  }

  /** What to write, also where there is none in memory any more: its removal may not be flushed yet. */
  cancel(path: string, name: string): RowChange {
    const actor = this.#actors.get(path);
    const entry = actor?.entries.get(name);
    if (actor !== undefined && entry !== undefined) this.#drop(actor, entry);
    return toRemoval(path, name);
  }

  /** What to write where all of `path` are removed. */
  forget(path: string): RowChange[] {
    const names = [...(this.#actors.get(path)?.entries.keys() ?? [])];
    return names.map((name) => this.cancel(path, name));
  }

  /** How often it was delivered in vain, since it was set, confirmed, or read from the store. */
  attemptsOf(path: string, name: string): number {
    return this.#actors.get(path)?.entries.get(name)?.attempts ?? 0;
  }

  /** Its actor runs: what waited for that waits no longer. */
  awake(path: string): void {
    const actor = this.#actors.get(path);
    if (actor === undefined) return;
    for (const entry of actor.entries.values()) {
      if (!entry.hasCrashed) entry.nextAtMs = entry.reminder.dueAtMs;
    }
    this.#queue(actor);
  }

  /** Those that are to be delivered now; of each `settled` hears. */
  release(): readonly Delivery[] {
    const nowMs = this.#clock.wallMs();
    this.#heedJump(nowMs);
    if (this.#windowLeftMs() <= 0) {
      this.#windowBeganMs = this.#clock.monotonicMs();
      this.#leftInWindow = RELEASE;
    }
    const released: Delivery[] = [];
    while (this.#leftInWindow > 0 && this.#delivering < MAX_DELIVERING) {
      const actor = this.#heap.first;
      if (actor === undefined || actor.dueAtMs > nowMs) break;
      this.#heap.remove(actor);
      const entry = firstOf(actor, nowMs);
      actor.delivering = entry;
      this.#delivering += 1;
      this.#leftInWindow -= 1;
      released.push({ path: actor.path, name: entry.name, reminder: entry.reminder });
    }
    return released;
  }

  /** What to write where it was done; undefined where it is to be delivered again, or was replaced meanwhile. */
  settled({ path, name, reminder }: Delivery, end: DeliveryEnd): RowChange | undefined {
    this.#delivering -= 1;
    const actor = this.#actors.get(path);
    if (actor === undefined) return undefined;
    const entry = actor.delivering;
    actor.delivering = undefined;
    if (entry === undefined || actor.entries.get(name) !== entry || entry.reminder !== reminder) {
      this.#queue(actor);
      return undefined;
    }
    const nowMs = this.#clock.wallMs();
    entry.hasCrashed = end === 'crashed';
    if (end !== 'done') {
      entry.nextAtMs =
        nowMs + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(entry.attempts, 16));
      entry.attempts += 1;
      this.#queue(actor);
      return undefined;
    }
    if (reminder.everyMs === 0) {
      this.#drop(actor, entry);
      return toRemoval(path, name);
    }
    entry.reminder = following(reminder, nowMs);
    entry.nextAtMs = entry.reminder.dueAtMs;
    entry.attempts = 0;
    this.#queue(actor);
    return toPut(path, name, entry.reminder);
  }

  /** When to look again; undefined where there is nothing to look for. */
  nextLookMs(): number | undefined {
    const { first } = this.#heap;
    if (first === undefined || this.#delivering >= MAX_DELIVERING) return undefined;
    const dueInMs = Math.min(first.dueAtMs - this.#clock.wallMs(), LOOK_MS);
    return Math.max(this.#leftInWindow > 0 ? 0 : this.#windowLeftMs(), dueInMs);
  }

  #windowLeftMs(): number {
    return this.#windowBeganMs + RELEASE_WINDOW_MS - this.#clock.monotonicMs();
  }

  #actor(path: string): Reminded {
    const actor = this.#actors.get(path) ?? new Reminded(path);
    this.#actors.set(path, actor);
    return actor;
  }

  #add(actor: Reminded, name: string, reminder: Reminder, nextAtMs: number): void {
    actor.entries.set(name, { name, reminder, nextAtMs, attempts: 0, hasCrashed: false });
    this.#count += 1;
    this.#bytes += sizeOf(reminder);
    this.#queue(actor);
  }

  #drop(actor: Reminded, { name, reminder }: Entry): void {
    actor.entries.delete(name);
    this.#count -= 1;
    this.#bytes -= sizeOf(reminder);
    this.#queue(actor);
  }

  /** Puts it where its reminders say that it belongs. */
  #queue(actor: Reminded): void {
    if (actor.delivering !== undefined) return;
    let nextAtMs = Number.POSITIVE_INFINITY;
    for (const entry of actor.entries.values()) nextAtMs = Math.min(nextAtMs, entry.nextAtMs);
    if (actor.entries.size > 0) this.#heap.move(actor, nextAtMs);
    else {
      this.#heap.remove(actor);
      this.#actors.delete(actor.path);
    }
  }

  /** A wall clock that was set back: nothing waits longer than it was to wait. */
  #heedJump(nowMs: number): void {
    const aheadMs = nowMs - this.#clock.monotonicMs();
    const isBack = aheadMs < this.#wallAheadMs - JUMP_MS;
    this.#wallAheadMs = aheadMs;
    if (!isBack) return;
    for (const actor of this.#actors.values()) {
      for (const entry of actor.entries.values()) {
        const isRetried = entry.nextAtMs !== entry.reminder.dueAtMs;
        // One under way stays what it is: `settled` knows it by that.
        if (actor.delivering !== entry) entry.reminder = clamped(entry.reminder, nowMs);
        const { dueAtMs } = entry.reminder;
        entry.nextAtMs = isRetried ? Math.min(entry.nextAtMs, nowMs + LAST_RETRY_MS) : dueAtMs;
      }
      this.#queue(actor);
    }
  }
}

/** Of those that are due the one that was tried least: one that its actor dies of keeps none of the others waiting. */
function firstOf({ entries }: Reminded, nowMs: number): Entry {
  let first: Entry | undefined;
  for (const entry of entries.values()) {
    if (entry.nextAtMs > nowMs) continue;
    if (first === undefined || isBefore(entry, first)) first = entry;
  }
  return first as Entry;
}

function isBefore(a: Entry, b: Entry): boolean {
  if (a.attempts !== b.attempts) return a.attempts < b.attempts;
  return a.reminder.dueAtMs < b.reminder.dueAtMs;
}

function clamped(reminder: Reminder, nowMs: number): Reminder {
  const latestMs = nowMs + reminder.waitMs;
  return reminder.dueAtMs <= latestMs ? reminder : { ...reminder, dueAtMs: latestMs };
}

/** The next one after now: those that were missed are one. */
function following(reminder: Reminder, nowMs: number): Reminder {
  const { dueAtMs, everyMs } = reminder;
  const missed = Math.max(0, Math.floor((nowMs - dueAtMs) / everyMs));
  return clamped(
    { ...reminder, dueAtMs: dueAtMs + (missed + 1) * everyMs, waitMs: everyMs },
    nowMs,
  );
}

function sizeOf({ payload }: Reminder): number {
  return payload.length;
}

function toPut(path: string, name: string, reminder: Reminder): RowChange {
  const { kind, payload, everyMs, dueAtMs, waitMs } = reminder;
  const row = { v: 1, kind, payload, everyMs, dueAtMs, waitMs };
  return { key: keyOf(path, name), row, bytes: sizeOf(reminder) };
}

function toRemoval(path: string, name: string): RowChange {
  return { key: keyOf(path, name), row: null, bytes: 0 };
}

/** Of whom the row with this key is. */
export function readKey(key: string): { readonly path: string; readonly name: string } {
  const cut = key.lastIndexOf('#');
  return { path: key.slice(0, cut), name: key.slice(cut + 1) };
}

/** No path has a `#`, and no name. */
function keyOf(path: string, name: string): string {
  return `${path}#${name}`;
}
