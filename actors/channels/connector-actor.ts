/** One account's connector: the shell between a platform's client library and the gateway. What is sent when is the outbox's decision. */
import { createTraceId } from '../../proto/ids.ts';
import { defineActor, type Settled } from '../../runtime/actor.ts';
import type { AdmitReply } from '../router/protocol.ts';
import { toAdmitRequest } from './admission.ts';
import {
  type ConnectorArgs,
  type ConnectorState,
  createConnectorState,
  statusOf,
} from './connector-state.ts';
import type { AttemptKey } from './delivery-book.ts';
import { sayHealth } from './health-log.ts';
import {
  announce,
  announceLater,
  answerStopping,
  beginOpening,
  type ConnectorSelf,
  closeQuietly,
  endLimit,
  endOpening,
  giveUpOpening,
  stopReceiving,
} from './lifecycle.ts';
import type { ConnectorActorDeps } from './opening.ts';
import type { ConnectorProtocol } from './protocol.ts';
import { deliver, endSending, giveUpSending, repeatUnacknowledged, type Sent } from './sending.ts';

export interface ConnectorOwn {
  opened(result: { readonly generation: number; readonly outcome: Settled<void> }): void;
  openLate(which: { readonly generation: number }): void;
  reopen(nothing: null): void;
  sent(sent: Sent): void;
  late(key: AttemptKey): void;
  repeat(nothing: null): void;
  announce(nothing: null): void;
  limitOver(nothing: null): void;
  sayHealth(nothing: null): void;
  receivingStopped(result: { readonly stopped: boolean }): void;
}

const INJECT_DEADLINE_MS = 15_000;

export const connectorActor = defineActor<
  ConnectorProtocol,
  ConnectorOwn,
  ConnectorArgs,
  ConnectorState,
  ConnectorActorDeps
>({
  module: import.meta.url,
  export: 'connectorActor',
  name: 'connector',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  start(self, args, deps) {
    const state = createConnectorState(args, deps, self.incarnation);
    // However this incarnation ends, its connector must not go on receiving beside the next one's.
    self.signal.addEventListener('abort', () => closeLeftOver(state), { once: true });
    beginOpening(state, self);
    return state;
  },
  receive: {
    deliver: (state, attempt, self) => deliver(state, attempt, self),
    settledAck: (state, key) => state.book.acknowledge(key),
    status: (state) => statusOf(state),
    stopReceiving(state, _nothing, self) {
      const answer = self.defer<{ readonly stopped: boolean }>();
      state.stopping.push(answer);
      stopReceiving(state, self);
      return answer.promise;
    },
    inject: (state, test, self) => inject(state, test, self),
    opened: (state, result, self) => endOpening(state, result, self),
    openLate: (state, which, self) => giveUpOpening(state, which, self),
    reopen(state, _nothing, self) {
      if (state.phase === 'resting') beginOpening(state, self);
    },
    sent: (state, sent, self) => endSending(state, sent, self),
    late: (state, key, self) => giveUpSending(state, key, self),
    repeat: (state, _nothing, self) => repeatUnacknowledged(state, self),
    announce: (state, _nothing, self) => announce(state, self),
    limitOver: (state, _nothing, self) => endLimit(state, self),
    sayHealth: (state, _nothing, self) => sayHealth(state, self),
    receivingStopped(state, { stopped }, self) {
      self.cancel('stop-receiving');
      answerStopping(state, stopped);
    },
  },
  subject: (kind, payload) => (kind === 'deliver' ? deliveryIdIn(payload) : ''),
  down: (state, _down, self) => announceLater(state, self),
  async stop(state, self) {
    state.isReceiving = false;
    state.opening?.();
    const { connector } = state;
    state.connector = undefined;
    if (connector !== undefined) await closeQuietly(state, connector, self.signal);
  },
});

function inject(
  state: ConnectorState,
  test: Parameters<ConnectorProtocol['inject']>[0],
  self: ConnectorSelf,
): PromiseLike<AdmitReply> {
  const { account, router } = state.args;
  const trace = createTraceId(self.random);
  const answer = self.defer<AdmitReply>();
  const offer = {
    connectorId: account.connectorId,
    conversationId: test.conversationId,
    threadId: '',
    senderId: test.senderId,
    senderDisplay: '',
    senderVerified: true,
    body: test.text,
    adapterMessageId: '',
    receivedAtMs: Math.trunc(self.clock.wallMs()),
    isDirectMessage: test.isDirectMessage,
    requestedBroadcast: false,
    attachments: [],
    nativeId: `test:${trace}`,
  };
  const request = toAdmitRequest(offer, account.connectorId, trace);
  state.lastInboundAtMs = offer.receivedAtMs;
  self
    .ask(router, 'admit', request, { inMs: INJECT_DEADLINE_MS })
    .then(answer.resolve, answer.reject);
  return answer.promise;
}

function closeLeftOver(state: ConnectorState): void {
  state.isReceiving = false;
  state.opening?.();
  const { connector } = state;
  state.connector = undefined;
  if (connector !== undefined) void closeQuietly(state, connector, new AbortController().signal);
}

function deliveryIdIn(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null || !('deliveryId' in payload)) return '';
  return typeof payload.deliveryId === 'string' ? payload.deliveryId : '';
}
