/** As many journal entries as a reader wants: a page of the gateway's is a short piece of work, and holds what it found in that. */
import type { InputOf, OutputOf } from '../proto/control/catalogue.ts';
import type { AdminClient } from './admin-client.ts';

type Feed = OutputOf<'journal.read'>;

export interface JournalSearch {
  readonly found: Feed;
  /** Nothing that could match is left where it was looking; else `found` tells where to go on. */
  readonly isOver: boolean;
}

// A subject that nothing names is looked for in the whole journal.
const SEARCH_MS = 10_000;

/** Asks for page after page until `limit` entries are there, the journal's end is reached, or 10 s are over. */
export async function searchJournal(
  client: Pick<AdminClient, 'call'>,
  wanted: InputOf<'journal.read'>,
): Promise<JournalSearch> {
  const untilMs = performance.now() + SEARCH_MS;
  const isGoingBack = wanted.tail || wanted.before > 0;
  const step = isGoingBack ? back : on;
  let search = await step(client, wanted, undefined);
  while (
    !search.isOver &&
    search.found.entries.length < wanted.limit &&
    performance.now() < untilMs
  ) {
    search = await step(client, wanted, search.found);
  }
  return search;
}

async function back(
  client: Pick<AdminClient, 'call'>,
  wanted: InputOf<'journal.read'>,
  found: Feed | undefined,
): Promise<JournalSearch> {
  const { entries = [], previous: before = wanted.before } = found ?? {};
  const limit = wanted.limit - entries.length;
  const page = await client.call('journal.read', { ...wanted, before, limit });
  const { previous } = page;
  const next = found?.next ?? page.next;
  return {
    found: { entries: [...page.entries, ...entries], next, previous },
    isOver: previous <= wanted.after + 1,
  };
}

async function on(
  client: Pick<AdminClient, 'call'>,
  wanted: InputOf<'journal.read'>,
  found: Feed | undefined,
): Promise<JournalSearch> {
  const { entries = [], next: after = wanted.after } = found ?? {};
  const limit = wanted.limit - entries.length;
  const page = await client.call('journal.read', { ...wanted, after, limit });
  const { next } = page;
  const previous = found?.previous ?? page.previous;
  return {
    found: { entries: [...entries, ...page.entries], next, previous },
    isOver: next === after,
  };
}
