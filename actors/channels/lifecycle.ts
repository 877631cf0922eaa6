/** Brings one account's connector up, keeps its health, and tells the outbox and the channels. Sending is `sending.ts`. */
import {
  type Accepted,
  type Connector,
  type ConnectorPorts,
  type HealthObservation,
  LIVENESSES,
  READINESSES,
  type Refused,
} from '../../connectors/connector.ts';
import type { InboundOffer } from '../../proto/channel-messages.ts';
import { createTraceId } from '../../proto/ids.ts';
import type { Self, Settled } from '../../runtime/actor.ts';
import { codeOf, StaleIncarnation } from '../../runtime/errors.ts';
import { checkOffer, refused, toAdmitRequest, toAnswer, toRefused } from './admission.ts';
import type { ConnectorOwn } from './connector-actor.ts';
import { type ConnectorState, countIgnored, minIntervalOf, statusOf } from './connector-state.ts';
import { noteHealth } from './health-log.ts';
import { openAccount, reopenDelayMs, safeText, type Trouble, troubleOf } from './opening.ts';
import type { ConnectorProtocol } from './protocol.ts';

export type ConnectorSelf = Self<ConnectorProtocol & ConnectorOwn>;

const OPEN_DEADLINE_MS = 60_000;
const ADMIT_DEADLINE_MS = 30_000;
const ANNOUNCE_AGAIN_MS = 250;
/** The outbox rests no account for longer. */
const LONGEST_LIMIT_MS = 24 * 60 * 60 * 1_000;
// A platform that hands over events faster than they are made durable waits; that is its backpressure.
const MAX_ACCEPTING = 64;

/** Starts the next try; what the one before left behind is closed first. */
export function beginOpening(state: ConnectorState, self: ConnectorSelf): void {
  state.generation += 1;
  const { generation, connector: previous } = state;
  state.connector = undefined;
  state.phase = 'opening';
  state.liveness = 'starting';
  self.after('open', OPEN_DEADLINE_MS, 'openLate', { generation });
  state.opening = self.run(
    async ({ signal }) => {
      if (previous !== undefined) await closeQuietly(state, previous, signal);
      await openOnce(state, self, generation, signal);
    },
    'opened',
    (outcome) => ({ generation, outcome }),
  );
}

async function openOnce(
  state: ConnectorState,
  self: ConnectorSelf,
  generation: number,
  signal: AbortSignal,
): Promise<void> {
  const { account, vault } = state.args;
  await openAccount(
    {
      account,
      vault,
      deps: state.deps,
      ports: portsOf(state, self, generation),
      loaded(kind) {
        state.availability = kind.availability;
      },
      revealed(redact) {
        if (state.generation === generation) state.redact = redact;
      },
      created(connector) {
        if (state.generation === generation) state.connector = connector;
      },
    },
    self,
    signal,
  );
}

/** What the connector's own code may call, at any time, also after this incarnation has ended. */
function portsOf(state: ConnectorState, self: ConnectorSelf, generation: number): ConnectorPorts {
  return {
    async accept(offer, signal) {
      if (!state.isReceiving || state.generation !== generation) return refused('stopping');
      checkOffer(offer);
      if (state.accepting >= MAX_ACCEPTING) return refused('busy', 250);
      state.accepting += 1;
      try {
        return await admit(state, self, offer, signal);
      } catch (error) {
        return toRefused(error);
      } finally {
        state.accepting -= 1;
      }
    },
    health(observation) {
      try {
        observe(state, self, generation, observation);
      } catch (error) {
        if (!(error instanceof StaleIncarnation)) throw error;
      }
    },
    ignored: (reason) => countIgnored(state, reason),
  };
}

async function admit(
  state: ConnectorState,
  self: ConnectorSelf,
  offer: InboundOffer,
  signal: AbortSignal,
): Promise<Accepted | Refused> {
  const { account, router } = state.args;
  const request = toAdmitRequest(offer, account.connectorId, createTraceId(self.random));
  const reply = await self.ask(router, 'admit', request, { inMs: ADMIT_DEADLINE_MS, signal });
  state.lastInboundAtMs = self.clock.wallMs();
  if (reply.type === 'conflict') {
    state.deps.log('warn', 'an inbound id came again with another body; dropped', {
      connector: account.connectorId,
      nativeId: offer.nativeId,
    });
  }
  return toAnswer(reply);
}

export function endOpening(
  state: ConnectorState,
  { generation, outcome }: { readonly generation: number; readonly outcome: Settled<void> },
  self: ConnectorSelf,
): void {
  if (generation !== state.generation || state.phase !== 'opening') return;
  self.cancel('open');
  state.opening = undefined;
  if (!outcome.ok) {
    rest(state, self, troubleOf(outcome.error, state.redact));
    return;
  }
  state.tries = 0;
  state.readiness = 'ready';
  if (state.liveness === 'starting' || state.liveness === 'stopped') state.liveness = 'running';
  state.reason = '';
  state.detail = '';
  comeUp(state, self);
}

/** The platform has not answered in time: the try is given up, whatever it does later. */
export function giveUpOpening(
  state: ConnectorState,
  { generation }: { readonly generation: number },
  self: ConnectorSelf,
): void {
  if (generation !== state.generation || state.phase !== 'opening') return;
  state.opening?.();
  state.opening = undefined;
  state.generation += 1;
  rest(state, self, { readiness: 'ready', reason: 'open_timeout', detail: '' });
}

function comeUp(state: ConnectorState, self: ConnectorSelf): void {
  state.phase = 'open';
  state.hasBeenUp = true;
  state.isParked = false;
  self.cancel('reopen');
  announce(state, self);
  notice(state, self);
  if (!state.isReceiving) stopReceiving(state, self);
}

/** The account is not usable now. Its connector stays, so that the next try can close it. */
export function rest(state: ConnectorState, self: ConnectorSelf, trouble: Trouble): void {
  state.phase = 'resting';
  state.tries += 1;
  state.readiness = trouble.readiness;
  state.liveness = trouble.readiness === 'ready' ? 'degraded' : 'stopped';
  state.reason = trouble.reason;
  state.detail = trouble.detail;
  // Once it was up, the outbox sends until it is told not to.
  state.isParked = trouble.readiness !== 'ready' || state.hasBeenUp;
  const delayMs = reopenDelayMs(trouble, state.tries, self.random());
  state.reopenAtMs = self.clock.monotonicMs() + delayMs;
  self.after('reopen', delayMs, 'reopen', null);
  announce(state, self);
  notice(state, self);
}

/** The outbox rests the account for so long: its health says why, and is as before when that is over. */
export function limit(
  state: ConnectorState,
  self: ConnectorSelf,
  { retryAfterMs, reason }: { readonly retryAfterMs: number; readonly reason: string },
): void {
  const nowMs = self.clock.monotonicMs();
  const endMs = nowMs + Math.min(retryAfterMs, LONGEST_LIMIT_MS);
  const isNews = state.limit === undefined;
  const untilMs = Math.max(state.limit?.untilMs ?? 0, endMs);
  state.limit = { untilMs, reason: `the platform limits the account (rate_limited): ${reason}` };
  self.after('limit', untilMs - nowMs, 'limitOver', null);
  if (isNews) notice(state, self);
}

export function endLimit(state: ConnectorState, self: ConnectorSelf): void {
  state.limit = undefined;
  notice(state, self);
}

function observe(
  state: ConnectorState,
  self: ConnectorSelf,
  generation: number,
  seen: HealthObservation,
): void {
  if (state.generation !== generation) return;
  if (!READINESSES.includes(seen.readiness) || !LIVENESSES.includes(seen.liveness)) return;
  const reason = safeText(seen.reason, state.redact);
  const wasResting = state.phase === 'resting';
  if (seen.readiness !== 'ready' && state.phase === 'open') {
    rest(state, self, {
      readiness: seen.readiness,
      reason: reason || seen.readiness,
      detail: '',
    });
    return;
  }
  state.readiness = seen.readiness;
  state.liveness = seen.liveness;
  state.reason = reason;
  state.detail = '';
  // It opened once and says it works again, e.g. after a fault of the platform.
  if (wasResting && seen.readiness === 'ready' && seen.liveness === 'running') comeUp(state, self);
  else notice(state, self);
}

/** Tells the outbox what this account can do, and watches it so that its successor is told too. */
export function announce(state: ConnectorState, self: ConnectorSelf): void {
  const { account, outbox } = state.args;
  const { connectorId, onUnknown, maxAgeMs } = account;
  let isTold = true;
  if (!state.isWatching) {
    state.isWatching = true;
    self.watch(outbox as never);
  }
  if (state.phase === 'open') {
    const { ref, incarnation } = self;
    const minIntervalMs = minIntervalOf(state);
    const up = { connectorId, ref, incarnation, onUnknown, maxAgeMs, minIntervalMs };
    isTold = self.tell(outbox, 'connectorUp', up);
  }
  const reason = state.isParked ? state.reason : '';
  const parked = { connectorId, parked: state.isParked, reason };
  isTold = self.tell(outbox, 'parked', parked) && isTold;
  if (!isTold) self.after('announce', ANNOUNCE_AGAIN_MS, 'announce', null);
}

export function announceLater(state: ConnectorState, self: ConnectorSelf): void {
  state.isWatching = false;
  self.after('announce', ANNOUNCE_AGAIN_MS, 'announce', null);
}

function notice(state: ConnectorState, self: ConnectorSelf): void {
  const status = statusOf(state);
  noteHealth(state, self, status);
  self.tell(state.args.channels, 'observed', status);
}

const STOP_RECEIVING_MS = 3_000;

/** No event is accepted from now on; the platform's side of it gets three seconds. */
export function stopReceiving(state: ConnectorState, self: ConnectorSelf): void {
  state.isReceiving = false;
  const { connector } = state;
  if (connector === undefined || state.phase !== 'open') {
    answerStopping(state, true);
    return;
  }
  self.after('stop-receiving', STOP_RECEIVING_MS, 'receivingStopped', { stopped: false });
  self.run(
    async ({ signal }) => connector.stopReceiving(signal),
    'receivingStopped',
    (outcome) => ({ stopped: outcome.ok }),
  );
}

export function answerStopping(state: ConnectorState, stopped: boolean): void {
  for (const answer of state.stopping.splice(0)) answer.resolve({ stopped });
}

export async function closeQuietly(
  state: ConnectorState,
  connector: Connector,
  signal: AbortSignal,
): Promise<void> {
  try {
    await connector.close(signal);
  } catch (error) {
    state.deps.log('warn', 'connector did not close in order', {
      connector: state.args.account.connectorId,
      code: codeOf(error),
    });
  }
}
