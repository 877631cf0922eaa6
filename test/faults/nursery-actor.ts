/** An actor for the leak checks: it has thousands of children come and go, and tells what its thread holds. */
import { type ActorRef, child, defineActor, type Placement } from '../../runtime/index.ts';
import { counterActor } from '../runtime/support/actors.ts';
import { restingHeap } from '../support/at-rest.ts';
import type { MortalProtocol } from './mortal-actor.ts';

export interface NurseryProtocol {
  /** Starts so many children, and stops them when each has answered; how many did. */
  raise(order: { readonly count: number; readonly placement: Placement }): number;
  /** The other's incarnation, by the link between the two threads. */
  visit(other: ActorRef<MortalProtocol>): number;
  /** Of its thread, at rest. */
  heap(nothing: null): number;
}

const LONG = { inMs: 60_000 };

export const nurseryActor = defineActor<NurseryProtocol, NurseryProtocol, null, null, unknown>({
  module: import.meta.url,
  export: 'nurseryActor',
  name: 'nursery',
  mailbox: { limitMessages: 100, overflow: 'reject' },
  start: () => null,
  receive: {
    async raise(_state, { count, placement }, self) {
      const ids = Array.from({ length: count }, (_, i) => `child-${i}`);
      const refs = ids.map((id) => self.spawn(child(counterActor, { id, args: {}, placement })));
      const totals = await Promise.all(refs.map((ref) => self.ask(ref, 'total', null, LONG)));
      await Promise.all(ids.map((id) => self.stopChild(id)));
      return totals.length;
    },
    visit: (_state, other, self) => self.ask(other, 'incarnation', null, LONG),
    heap: () => restingHeap(),
  },
});
