/** A connector actor for a system in which ledger and outbox are real. Texts say how it misbehaves; the platform is a list that survives it. */
import type { Attempt, ConnectorProtocol } from '../../../../actors/channels/protocol.ts';
import type { OutboxProtocol, Settlement } from '../../../../actors/outbox/protocol.ts';
import { type ActorRef, defineActor, type Self } from '../../../../runtime/actor.ts';
import { createMemoryStore } from '../../../../runtime/store/memory.ts';
import type { ThreadWorld } from '../../../../runtime/system.ts';

export interface StandInConnector extends ConnectorProtocol {
  sent(nothing: null): readonly { readonly deliveryId: string; readonly text: string }[];
}

interface Own {
  again(nothing: null): void;
}

interface Args {
  readonly outbox: ActorRef<OutboxProtocol>;
}

interface Deps {
  readonly platform: { readonly deliveryId: string; readonly text: string }[];
}

interface State extends Args, Deps {
  readonly open: Map<string, Settlement>;
}

const REPEAT_MS = 20;

export const standInConnector = defineActor<StandInConnector, Own, Args, State, Deps>({
  module: import.meta.url,
  export: 'standInConnector',
  name: 'connector',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start(self, { outbox }, { platform }) {
    const state: State = { outbox, platform, open: new Map() };
    announce(state, self);
    return state;
  },
  subject: (kind, payload) => (kind === 'deliver' ? (payload as Attempt).deliveryId : ''),
  receive: {
    deliver(state, attempt, self) {
      const { deliveryId, text, chunk } = attempt;
      if (text.includes('poison')) throw new Error('it chokes on this one');
      if (text.includes('crash') && attempt.attempt === 1) throw new Error('it stumbles');
      const key = { deliveryId, attempt: attempt.attempt, chunk };
      state.platform.push({ deliveryId, text });
      const outcome = { type: 'delivered', nativeMessageId: `m${state.platform.length}` } as const;
      const settlement = { ...key, chunks: 1, outcome };
      if (state.open.size === 0) self.after('again', REPEAT_MS, 'again', null);
      state.open.set(deliveryId, settlement);
      self.tell(state.outbox, 'settled', settlement);
    },
    settledAck: (state, { deliveryId }) => void state.open.delete(deliveryId),
    stopReceiving: () => ({ stopped: true }),
    status: () => {
      throw new Error('nobody asks this one');
    },
    inject: () => {
      throw new Error('nobody asks this one');
    },
    sent: (state) => state.platform,
    again: (state, _nothing, self) => repeat(state, self),
  },
  down: (state, _down, self) => announce(state, self),
});

function announce(state: State, self: Self<StandInConnector & Own>): void {
  const { ref, incarnation } = self;
  self.watch(state.outbox as never);
  const up = {
    connectorId: 'a:1',
    ref,
    onUnknown: 'retry',
    maxAgeMs: 60_000,
    minIntervalMs: 0,
    incarnation,
  } as const;
  self.tell(state.outbox, 'connectorUp', up);
}

function repeat(state: State, self: Self<StandInConnector & Own>): void {
  for (const settlement of state.open.values()) self.tell(state.outbox, 'settled', settlement);
  if (state.open.size > 0) self.after('again', REPEAT_MS, 'again', null);
}

/** The main thread's world; what is on the platform outlives every actor. */
export function setup(): ThreadWorld {
  const store = createMemoryStore();
  return {
    deps: {
      platform: [],
      openStore: async () => store,
      ballast: { ensure: async () => undefined, release: async () => false },
      prepareBackup: async (id: string) => id,
      log: () => undefined,
    },
  };
}
