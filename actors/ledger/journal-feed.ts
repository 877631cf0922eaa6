/** The journal as a feed: pages from a cursor on or back, each a short piece of work. Reads; writes nothing. */
import type { InputOf, OutputOf } from '../../proto/control/catalogue.ts';
import type { Fact, JournalEntry, Store } from '../../runtime/store/store.ts';

type Journal = Pick<Store, 'journal' | 'health'>;
type Wanted = InputOf<'journal.read'>;
type Feed = OutputOf<'journal.read'>;

// About 5 ms of reading, and less than a mebibyte of answer, on whatever machine: the thread has other work.
const PAGE_SLICE_MS = 5;
const PAGE_FACTS = 2_000;
// Before so many are read nobody looks at the clock: a small page is always whole.
const LOOK_FACTS = 64;

/**
 * Journal entries from one cursor on, oldest first. A page has at most `limit` entries and ends with the entry at which
 * 2,000 facts were read, wanted or not, or 5 ms are over. So it may be short or empty and yet lead on: `next` and `previous`
 * tell what was looked at, 64 facts or one entry at least. Going on, the end is reached when `next` is the `after` that was asked.
 */
export function readJournal(store: Journal, wanted: Wanted, nowMs: () => number): Feed {
  const page = new Page(wanted, nowMs);
  return wanted.tail || wanted.before > 0
    ? readBack(store, wanted, page)
    : readOn(store, wanted, page);
}

/** The newest matches below `before`; an entry keeps its sequence, so what is written meanwhile moves no page. */
function readBack(store: Journal, { after, before }: Wanted, page: Page): Feed {
  const head = store.health().journalSequence;
  const last = before === 0 ? head : Math.min(head, before - 1);
  let first = last + 1;
  while (first > after + 1 && !page.isFull) {
    first -= 1;
    page.add(store.journal(first - 1, 1)[0]);
  }
  return { entries: page.entries.reverse(), next: last, previous: first > 1 ? first : 0 };
}

function readOn(store: Journal, { after }: Wanted, page: Page): Feed {
  let next = after;
  while (!page.isFull) {
    const [entry] = store.journal(next, 1);
    if (entry === undefined) break;
    page.add(entry);
    next = entry.sequence;
  }
  return { entries: page.entries, next, previous: after > 0 ? after + 1 : 0 };
}

/** What one answer holds, and how much was read for it. */
class Page {
  readonly entries: Feed['entries'] = [];
  readonly #wanted: Wanted;
  readonly #nowMs: () => number;
  readonly #untilMs: number;
  /** Facts, and for each entry one more: some have none. */
  #read = 0;

  constructor(wanted: Wanted, nowMs: () => number) {
    this.#wanted = wanted;
    this.#nowMs = nowMs;
    this.#untilMs = nowMs() + PAGE_SLICE_MS;
  }

  get isFull(): boolean {
    if (this.entries.length >= this.#wanted.limit || this.#read >= PAGE_FACTS) return true;
    return this.#read >= LOOK_FACTS && this.#nowMs() >= this.#untilMs;
  }

  add(entry: JournalEntry | undefined): void {
    this.#read += 1;
    if (entry === undefined) return;
    const { sequence, atMs, hash, facts } = entry;
    this.#read += facts.length;
    const { subject } = this.#wanted;
    const matches = subject === '' ? facts : facts.filter((fact) => names(fact, subject));
    if (matches.length === 0) return;
    this.entries.push({ sequence, at_ms: atMs, hash, facts: matches.map((fact) => ({ ...fact })) });
  }
}

/** A fact names an id where one of its fields is the id, or an id derived from it (`run_id:n`). */
function names(fact: Fact, subject: string): boolean {
  return Object.values(fact).some(
    (value) => typeof value === 'string' && (value === subject || value.startsWith(`${subject}:`)),
  );
}
