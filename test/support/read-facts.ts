/** A whole journal, page by page: of a running gateway, or of a store. */
import type { Fact, Store } from '../../runtime/store/store.ts';
import type { GatewayProcess } from './gateway-process.ts';

export type JournalFact = Readonly<Record<string, string | number | boolean>>;

interface Page {
  readonly entries: readonly { readonly facts: readonly JournalFact[] }[];
  readonly next: number;
}

/** Every fact, oldest first; of those that name `subject`, where one is given. */
export async function readFacts(
  { admin }: Pick<GatewayProcess, 'admin'>,
  subject = '',
): Promise<readonly JournalFact[]> {
  const facts: JournalFact[] = [];
  for (let after = 0; ; ) {
    const query = new URLSearchParams({ after: String(after), limit: '500', subject });
    const page = (await admin(`/admin/v1/journal?${query}`)) as Page;
    for (const entry of page.entries) facts.push(...entry.facts);
    if (page.next === after) return facts;
    after = page.next;
  }
}

/** Every fact, in the order of the commits. */
export function storedFacts(store: Pick<Store, 'journal'>): readonly Fact[] {
  const facts: Fact[] = [];
  for (let after = 0; ; ) {
    const page = store.journal(after, 100);
    const last = page.at(-1);
    if (last === undefined) return facts;
    facts.push(...page.flatMap((entry) => entry.facts));
    after = last.sequence;
  }
}
