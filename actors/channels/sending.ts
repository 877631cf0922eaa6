/** Sends one piece at most once per attempt and tells the outbox how it ended, again and again until it says it knows. */
import { type DeliveryOutcome, deliveryOutcomeSchema } from '../../proto/channel-messages.ts';
import type { Settled } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { Settlement } from '../outbox/protocol.ts';
import type { ConnectorState } from './connector-state.ts';
import type { AttemptKey } from './delivery-book.ts';
import { type ConnectorSelf, limit, rest } from './lifecycle.ts';
import { detailOf } from './opening.ts';
import { type Attempt, SENDS_HANG } from './protocol.ts';

const SEND_DEADLINE_MS = 30_000;
const REPEAT_MS = 1_000;
// Running and unacknowledged together: the outbox has one delivery in flight per conversation.
const MAX_OPEN = 512;
// A connector that leaves so many sends hanging holds memory for nothing: a fresh one is better.
const MAX_STUCK = 32;

export interface Sent {
  readonly key: AttemptKey;
  readonly outcome: Settled<DeliveryOutcome>;
}

export function deliver(state: ConnectorState, attempt: Attempt, self: ConnectorSelf): void {
  const known = state.book.find(attempt);
  if (known !== undefined) {
    if (known.settlement !== undefined) tellSettled(state, known.settlement, self);
    return;
  }
  if (state.book.open >= MAX_OPEN) {
    const { deliveryId, attempt: n, chunk } = attempt;
    const outcome = transient('connector_busy');
    tellSettled(state, { deliveryId, attempt: n, chunk, chunks: chunk + 1, outcome }, self);
    return;
  }
  const pieces = split(state, attempt.text);
  state.book.begin(attempt, Math.max(pieces?.length ?? 0, attempt.chunk + 1));
  const refusal = refusalOf(state, attempt, pieces);
  if (refusal === undefined) send(state, attempt, pieces?.[attempt.chunk] ?? '', self);
  else settle(state, attempt, refusal, self);
}

/** An outcome that is certain without asking the platform; undefined: send it. */
function refusalOf(
  state: ConnectorState,
  attempt: Attempt,
  pieces: readonly string[] | undefined,
): DeliveryOutcome | undefined {
  if (attempt.resumed) return { type: 'unknown', reason: 'sender_restarted' };
  if (state.connector === undefined || state.phase !== 'open') return transient('not_connected');
  if (pieces === undefined) return { type: 'permanent', reason: 'text_cannot_be_split' };
  if (attempt.chunk >= pieces.length) return { type: 'permanent', reason: 'no_such_chunk' };
  return undefined;
}

function transient(reason: string): DeliveryOutcome {
  return { type: 'transient', reason, retryAfterMs: 1_000 };
}

function split(state: ConnectorState, text: string): readonly string[] | undefined {
  try {
    return state.connector?.split(text);
  } catch (error) {
    state.deps.log('error', 'connector could not split a text', {
      connector: state.args.account.connectorId,
      code: codeOf(error),
    });
    return undefined;
  }
}

function send(state: ConnectorState, attempt: Attempt, text: string, self: ConnectorSelf): void {
  const { deliveryId, attempt: n, chunk, conversationId, threadId, inReplyTo } = attempt;
  const { connector } = state;
  if (connector === undefined) return;
  const key: AttemptKey = { deliveryId, attempt: n, chunk };
  const name = timerOf(key);
  self.after(name, SEND_DEADLINE_MS, 'late', key);
  const piece = { deliveryId, attempt: n, chunk, text, conversationId, threadId, inReplyTo };
  const abort = self.run(
    async ({ signal }) => connector.deliver(piece, signal),
    'sent',
    (outcome) => ({ key, outcome }),
  );
  state.aborts.set(name, abort);
}

/** The platform has not answered in time: nobody knows. What comes later is not believed. */
export function giveUpSending(state: ConnectorState, key: AttemptKey, self: ConnectorSelf): void {
  const name = timerOf(key);
  const abort = state.aborts.get(name);
  // It came back while the word of its deadline was on its way.
  if (abort === undefined) return;
  abort();
  state.stuck.add(name);
  settle(state, key, { type: 'unknown', reason: 'no_answer_in_time' }, self);
  if (state.stuck.size > MAX_STUCK) throw new SendsHang(state.stuck.size);
}

/** Each of these sends has its own `unknown`; the others in flight are not to blame. */
class SendsHang extends Error {
  readonly code = SENDS_HANG;

  constructor(sends: number) {
    super(`${sends} sends hang in the connector`);
    this.name = 'SendsHang';
  }
}

export function endSending(state: ConnectorState, sent: Sent, self: ConnectorSelf): void {
  const { key } = sent;
  const name = timerOf(key);
  self.cancel(name);
  state.aborts.delete(name);
  if (state.stuck.delete(name)) return;
  settle(state, key, toOutcome(state, sent), self);
}

// The text of a thrown error may hold what must not be told: its code goes on, the text to the log without the credential.
function toOutcome(state: ConnectorState, { key, outcome }: Sent): DeliveryOutcome {
  if (!outcome.ok) return unclear(state, key, codeOf(outcome.error), outcome.error);
  const parsed = deliveryOutcomeSchema.safeParse(outcome.value);
  return parsed.success ? parsed.data : unclear(state, key, 'bad_outcome', parsed.error);
}

function unclear(
  state: ConnectorState,
  { deliveryId, attempt, chunk }: AttemptKey,
  reason: string,
  error: unknown,
): DeliveryOutcome {
  state.deps.log('warn', 'a connector did not say how a send ended', {
    connector: state.args.account.connectorId,
    deliveryId,
    attempt,
    chunk,
    code: reason,
    detail: detailOf(error, state.redact),
  });
  return { type: 'unknown', reason };
}

function settle(
  state: ConnectorState,
  key: AttemptKey,
  outcome: DeliveryOutcome,
  self: ConnectorSelf,
): void {
  const settlement = state.book.answer(key, outcome);
  if (settlement === undefined) return;
  if (outcome.type === 'delivered') state.lastOutboundAtMs = self.clock.wallMs();
  tellSettled(state, settlement, self);
  self.after('repeat', REPEAT_MS, 'repeat', null);
  if (outcome.type === 'rate_limited' && outcome.scope === 'account') limit(state, self, outcome);
  if (outcome.type === 'auth' && state.phase === 'open') {
    rest(state, self, { readiness: 'auth_failed', reason: outcome.reason, detail: '' });
  }
}

export function repeatUnacknowledged(state: ConnectorState, self: ConnectorSelf): void {
  const open = state.book.unacknowledged();
  for (const settlement of open) tellSettled(state, settlement, self);
  if (open.length > 0) self.after('repeat', REPEAT_MS, 'repeat', null);
}

function tellSettled(state: ConnectorState, settlement: Settlement, self: ConnectorSelf): void {
  self.tell(state.args.outbox, 'settled', settlement);
}

function timerOf(key: AttemptKey): string {
  return `send:${key.deliveryId}/${key.attempt}/${key.chunk}`;
}
