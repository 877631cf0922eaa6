/** Sinks with small mailboxes, and the gate at which they stop until it is opened. */
import {
  type ActorRef,
  type Deferred,
  defineActor,
  type Mailbox,
  type Self,
  type Settled,
} from '../../../runtime/index.ts';

export interface GateProtocol {
  /** Answered when the gate is open. */
  pass(nothing: null): string;
  open(nothing: null): void;
}

export const gateActor = defineActor<
  GateProtocol,
  GateProtocol,
  null,
  { answer: Deferred<string> | undefined; isOpen: boolean },
  unknown
>({
  module: import.meta.url,
  export: 'gateActor',
  name: 'gate',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: () => ({ answer: undefined, isOpen: false }),
  receive: {
    pass(state, _nothing, self) {
      if (state.isOpen) return 'open';
      state.answer ??= self.defer<string>();
      return state.answer.promise;
    },
    open(state) {
      state.isOpen = true;
      state.answer?.resolve('open');
    },
  },
});

export interface SinkProtocol {
  /** Handles nothing more until the gate is open. */
  hold(gate: ActorRef<GateProtocol>): void;
  take(payload: unknown): void;
  /** What it was given, in order. */
  taken(nothing: null): readonly unknown[];
  crash(reason: string): void;
}

export interface ProducerProtocol {
  /** Tells `to` as fast as it is taken, and waits for room where it is not. */
  produce(order: { readonly to: ActorRef<SinkProtocol>; readonly count: number }): void;
  /** How many it has told so far, and the code of what went wrong. */
  produced(nothing: null): { readonly told: number; readonly failed: string };
}

interface ProducerOwn {
  goOn(outcome: Settled<number>): void;
}

interface ProducerState {
  to: ActorRef<SinkProtocol> | undefined;
  count: number;
  told: number;
  failed: string;
}

export const producerActor = defineActor<
  ProducerProtocol,
  ProducerOwn,
  null,
  ProducerState,
  unknown
>({
  module: import.meta.url,
  export: 'producerActor',
  name: 'producer',
  mailbox: { limitMessages: 100, overflow: 'reject' },
  start: () => ({ to: undefined, count: 0, told: 0, failed: '' }),
  receive: {
    produce(state, { to, count }, self) {
      state.to = to;
      state.count = count;
      produce(state, self);
    },
    produced: ({ told, failed }) => ({ told, failed }),
    goOn(state, outcome, self) {
      if (outcome.ok) produce(state, self);
      else state.failed = (outcome.error as { code: string }).code;
    },
  },
});

function produce(state: ProducerState, self: Self<ProducerProtocol & ProducerOwn>): void {
  const { to } = state;
  if (to === undefined) return;
  for (; state.told < state.count; state.told += 1) {
    if (self.tell(to, 'take', `${self.ref.address} ${state.told}`)) continue;
    self.run(
      () => self.ready(to, { inMs: 60_000 }),
      'goOn',
      (outcome) => outcome,
    );
    return;
  }
}

function sink(name: string, mailbox: Mailbox) {
  return defineActor<SinkProtocol, SinkProtocol, null, unknown[], unknown>({
    module: import.meta.url,
    export: name,
    name,
    mailbox,
    start: () => [],
    receive: {
      async hold(_state, gate, self) {
        await self.ask(gate, 'pass', null, { inMs: 60_000 });
      },
      take(state, payload) {
        state.push(payload);
      },
      taken: (state) => [...state],
      crash(_state, reason) {
        throw Object.assign(new Error(reason), { code: 'told_to' });
      },
    },
  });
}

/** Two messages, whatever they count. */
export const narrowSink = sink('narrowSink', { limitMessages: 2, overflow: 'reject' });
export const rejectingSink = sink('rejectingSink', {
  limitMessages: 100,
  limitBytes: 1_000,
  overflow: 'reject',
});
export const forgetfulSink = sink('forgetfulSink', {
  limitMessages: 100,
  limitBytes: 1_000,
  overflow: 'drop-oldest',
});
export const silentSink = sink('silentSink', {
  limitMessages: 100,
  limitBytes: 1_000,
  overflow: 'drop-newest',
});
