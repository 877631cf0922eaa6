/** Change sets out of parts, so that each folder makes the part of its own rows. */
import type { ChangeSet } from './store.ts';

export type ChangePart = Partial<ChangeSet>;

/** One change set with everything of `parts`, in their order: all of it is committed, or none. */
export function joinChanges(...parts: readonly ChangePart[]): ChangeSet {
  const expect: ChangeSet['expect'][number][] = [];
  const put: ChangeSet['put'][number][] = [];
  const remove: ChangeSet['remove'][number][] = [];
  const facts: ChangeSet['facts'][number][] = [];
  for (const part of parts) {
    for (const one of part.expect ?? []) expect.push(one);
    for (const one of part.put ?? []) put.push(one);
    for (const one of part.remove ?? []) remove.push(one);
    for (const one of part.facts ?? []) facts.push(one);
  }
  return { expect, put, remove, facts };
}
