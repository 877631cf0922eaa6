/** The operations that the channels answer: list, get, test. */
import { type InputOf, operations } from '../../proto/control/catalogue.ts';
import type { OperationReply, OwnedCall } from '../../proto/control/owner.ts';
import { type ErrorCode, PalyraError, toWireError } from '../../proto/errors.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import { AskError } from '../../runtime/errors.ts';
import type { QueueSnapshot } from '../outbox/protocol.ts';
import type { AdmitReply } from '../router/protocol.ts';
import type { ChannelsState } from './actor.ts';
import type { ChannelsProtocol, ConnectorProtocol, ConnectorStatus } from './protocol.ts';
import { type ConnectorView, toConnectorView, toDeliveryView, toUnconfigured } from './views.ts';

const STATUS_DEADLINE_MS = 1_000;
const OUTBOX_DEADLINE_MS = 3_000;
// Readiness waits for it, and for the channels no longer than this and some.
const ACCOUNTS_DEADLINE_MS = 1_000;
const TEST_DEADLINE_MS = 20_000;

type ChannelsSelf = Self<ChannelsProtocol>;

export async function operate(
  state: ChannelsState,
  call: OwnedCall,
  self: ChannelsSelf,
): Promise<OperationReply> {
  try {
    return { ok: true, output: await perform(state, call, self) };
  } catch (error) {
    const refusal = { ok: false, error: toWireError(toPalyraError(error)) } as const;
    const isLost = error instanceof AskError && !error.retryable;
    return isLost ? { ...refusal, mayHaveHappened: true } : refusal;
  }
}

async function perform(
  state: ChannelsState,
  call: OwnedCall,
  self: ChannelsSelf,
): Promise<unknown> {
  switch (call.operation) {
    case 'channels.list':
      return { connectors: await listConnectors(state, self) };
    case 'channels.get':
      return getConnector(state, operations['channels.get'].input.parse(call.input), self);
    case 'channels.test':
      return testConnector(state, operations['channels.test'].input.parse(call.input), self);
    default:
      throw new PalyraError('not_found', `the channels do not answer ${call.operation}`);
  }
}

async function listConnectors(
  state: ChannelsState,
  self: ChannelsSelf,
): Promise<readonly ConnectorView[]> {
  const [statuses, orphans] = await Promise.all([
    currentStatuses(state, self),
    unconfigured(state, self),
  ]);
  return Promise.all(
    [...statuses, ...orphans].map(async (status) =>
      toConnectorView(status, await queueOf(state, status.connectorId, self)),
    ),
  );
}

async function getConnector(
  state: ChannelsState,
  input: InputOf<'channels.get'>,
  self: ChannelsSelf,
): Promise<unknown> {
  const connectorId = input.connector_id;
  const [status, queue, recent] = await Promise.all([
    statusOf(state, connectorId, self),
    queueOf(state, connectorId, self),
    self.ask(
      state.args.outbox,
      'recent',
      { connectorId, limit: input.limit },
      { inMs: OUTBOX_DEADLINE_MS },
    ),
  ]);
  return {
    connector: toConnectorView(status, queue),
    deliveries: recent.deliveries.map(toDeliveryView),
    dead_letters: recent.deadLetters.map(toDeliveryView),
  };
}

async function testConnector(
  state: ChannelsState,
  input: InputOf<'channels.test'>,
  self: ChannelsSelf,
): Promise<unknown> {
  const reply = await self.ask(
    refOf(state, input.connector_id),
    'inject',
    {
      text: input.text,
      conversationId: input.conversation_id,
      senderId: input.sender_id,
      isDirectMessage: input.is_direct_message,
    },
    { inMs: TEST_DEADLINE_MS },
  );
  return toTestOutput(reply);
}

function toTestOutput(reply: AdmitReply): unknown {
  switch (reply.type) {
    case 'accepted':
    case 'duplicate':
      return { accepted: true, envelope_id: reply.envelopeId, reason: '' };
    case 'rejected':
      return { accepted: false, envelope_id: reply.envelopeId, reason: reply.reason };
    case 'conflict':
      throw new PalyraError('idempotency_conflict', 'the test message met an older one of its id');
    case 'refused':
      throw new PalyraError(reply.code, 'the gateway does not take messages now', {
        retryAfterMs: reply.retryAfterMs,
      });
  }
}

/** Every account that is to work: the configured ones, and those whose deliveries wait for a configuration. */
export async function allStatuses(
  state: ChannelsState,
  self: ChannelsSelf,
): Promise<readonly ConnectorStatus[]> {
  const parts = [currentStatuses(state, self), strandedStatuses(state, self)];
  return (await Promise.all(parts)).flat();
}

/** Accounts with deliveries that nobody will send as the configuration stands. */
export async function strandedStatuses(
  state: ChannelsState,
  self: ChannelsSelf,
): Promise<readonly ConnectorStatus[]> {
  return (await unconfigured(state, self)).filter(({ readiness }) => readiness !== 'ready');
}

/** Every configured account's status now; one that does not answer in time is shown as it was last seen, and degraded. */
function currentStatuses(
  state: ChannelsState,
  self: ChannelsSelf,
): Promise<readonly ConnectorStatus[]> {
  return Promise.all([...state.connectors].map(([id, ref]) => currentStatus(state, id, ref, self)));
}

async function currentStatus(
  state: ChannelsState,
  connectorId: string,
  ref: ActorRef<ConnectorProtocol>,
  self: ChannelsSelf,
): Promise<ConnectorStatus> {
  try {
    const status = await self.ask(ref, 'status', null, { inMs: STATUS_DEADLINE_MS });
    state.observed.set(connectorId, status);
    return status;
  } catch (error) {
    if (!(error instanceof AskError)) throw error;
    const last = state.observed.get(connectorId);
    if (last === undefined) throw error;
    const reason = last.reason === '' ? error.code : last.reason;
    return { ...last, liveness: 'degraded', reason };
  }
}

async function statusOf(
  state: ChannelsState,
  connectorId: string,
  self: ChannelsSelf,
): Promise<ConnectorStatus> {
  const ref = state.connectors.get(connectorId);
  if (ref !== undefined) return currentStatus(state, connectorId, ref, self);
  const found = (await unconfigured(state, self)).find((one) => one.connectorId === connectorId);
  if (found === undefined) throw notFound(connectorId);
  return found;
}

/** Accounts with deliveries or dead letters that the configuration does not name; none where the outbox does not answer. */
async function unconfigured(
  state: ChannelsState,
  self: ChannelsSelf,
): Promise<readonly ConnectorStatus[]> {
  try {
    const { outbox } = state.args;
    const { accounts } = await self.ask(outbox, 'accounts', null, { inMs: ACCOUNTS_DEADLINE_MS });
    return accounts
      .filter(({ connectorId }) => !state.connectors.has(connectorId))
      .map(({ connectorId, active }) => toUnconfigured(connectorId, active));
  } catch (error) {
    if (error instanceof AskError) return [];
    throw error;
  }
}

async function queueOf(
  state: ChannelsState,
  connectorId: string,
  self: ChannelsSelf,
): Promise<QueueSnapshot | undefined> {
  try {
    const { outbox } = state.args;
    return await self.ask(outbox, 'queue', { connectorId }, { inMs: OUTBOX_DEADLINE_MS });
  } catch (error) {
    if (error instanceof AskError) return undefined;
    throw error;
  }
}

function refOf(state: ChannelsState, connectorId: string): ActorRef<ConnectorProtocol> {
  const ref = state.connectors.get(connectorId);
  if (ref !== undefined) return ref;
  throw notFound(connectorId);
}

function notFound(connectorId: string): PalyraError {
  return new PalyraError('not_found', `no connector ${connectorId} is configured`);
}

function toPalyraError(error: unknown): unknown {
  if (!(error instanceof AskError)) return error;
  const code: ErrorCode = error.code === 'ask_timeout' ? 'deadline_exceeded' : 'unavailable';
  return new PalyraError(code, `a part of the gateway did not answer (${error.code})`, {
    cause: error,
    retryAfterMs: 1_000,
  });
}
