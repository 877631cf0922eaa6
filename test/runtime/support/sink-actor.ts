/** Sinks with small mailboxes, and the gate at which they stop until it is opened. */
import { type ActorRef, type Deferred, defineActor, type Mailbox } from '../../../runtime/index.ts';

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
