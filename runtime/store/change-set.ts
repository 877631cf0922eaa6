/** Change sets out of parts, so that each folder makes the part of its own rows. */
import type { ChangeSet } from './store.ts';

export type ChangePart = Partial<ChangeSet>;

/** One change set with everything of `parts`, in their order: all of it is committed, or none. */
export function joinChanges(...parts: readonly ChangePart[]): ChangeSet {
  return {
    expect: parts.flatMap((part) => part.expect ?? []),
    put: parts.flatMap((part) => part.put ?? []),
    remove: parts.flatMap((part) => part.remove ?? []),
    facts: parts.flatMap((part) => part.facts ?? []),
  };
}
