/** A counter that offers itself at a receptionist, and hears of the others. */
import {
  type ActorRef,
  defineActor,
  type Listing,
  type ListingReceiver,
  type ReceptionistProtocol,
  type ServiceKey,
} from '../../../runtime/index.ts';
import type { CounterProtocol } from './actors.ts';

export interface ServantProtocol extends ListingReceiver {
  add(n: number): void;
  total(nothing: null): number;
  /** How many the last listing had. */
  listed(nothing: null): number;
  /** Waits for an answer that may not come. */
  waitFor(ref: ActorRef<CounterProtocol>): void;
  crash(reason: string): void;
  leave(nothing: null): void;
}

interface Args {
  readonly desk: ActorRef<ReceptionistProtocol>;
  readonly key: ServiceKey<unknown>;
}

export const servantActor = defineActor<
  ServantProtocol,
  ServantProtocol,
  Args,
  { total: number; last: Listing | undefined },
  unknown
>({
  module: import.meta.url,
  export: 'servantActor',
  name: 'servant',
  mailbox: { limitMessages: 2, overflow: 'reject' },
  start(self, { desk, key }) {
    self.tell(desk, 'register', { key, ref: self.ref });
    return { total: 0, last: undefined };
  },
  receive: {
    add(state, n) {
      state.total += n;
    },
    total: ({ total }) => total,
    listed: ({ last }) => last?.refs.length ?? 0,
    listing(state, listing) {
      state.last = listing;
    },
    async waitFor(_state, ref, self) {
      await self.ask(ref, 'total', null, { inMs: 200 }).catch(() => undefined);
    },
    crash(_state, reason) {
      throw Object.assign(new Error(reason), { code: 'told_to' });
    },
    leave(_state, _nothing, self) {
      self.stop();
    },
  },
});
