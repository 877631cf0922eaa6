/** The outbox's tables: `deliveries` (active), `delivered` and `dead_letters` (ended), and their change-set parts. */
import { hash } from 'node:crypto';
import type { OutboundMessage, ReplyTarget } from '../../proto/channel-messages.ts';
import type { ChangePart } from '../../runtime/store/change-set.ts';
import type { ChangeSet, Fact, Row } from '../../runtime/store/store.ts';
import type { RetentionRule } from '../ledger/rows.ts';
import type { OpenRun } from '../router/rows.ts';
import { type NoteRow, noteKey, TAPES, type TapeRow, TURNS, tapeKey } from '../sessions/rows.ts';
import {
  ACTIVE_STATUSES,
  type ActiveStatus,
  type DeliveryStatus,
  NO_PROGRESS,
  type Progress,
} from './machine.ts';
import type { DeliveryView } from './protocol.ts';

export const DELIVERIES = 'deliveries';
export const DELIVERED = 'delivered';
export const DEAD_LETTERS = 'dead_letters';

const DAY_MS = 24 * 60 * 60 * 1_000;

/** How long ended deliveries are kept; what has not ended stays whatever its age. */
export const OUTBOX_RETENTION: readonly RetentionRule[] = [
  { table: DELIVERED, maxAgeMs: 7 * DAY_MS, timeField: 'updatedAtMs' },
  { table: DEAD_LETTERS, maxAgeMs: 30 * DAY_MS, timeField: 'updatedAtMs' },
];

/** A delivery that has not ended. Its key is the delivery id. One that was ever dead names the exchange that it answers, if that was known. */
export interface DeliveryRow extends Row, Progress, Partial<OpenRun> {
  readonly v: 1;
  readonly status: DeliveryStatus;
  readonly runId: string;
  readonly connectorId: string;
  readonly conversationId: string;
  readonly threadId: string;
  readonly message: OutboundMessage;
  /** Grows with each delivery: what keeps a lane in order across restarts. */
  readonly order: number;
  readonly trace: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** An ended delivery; the message itself is kept only where it was not delivered. One that was ever dead names its exchange. */
export interface EndedRow extends Row, Progress, Partial<OpenRun> {
  readonly v: 1;
  readonly status: 'delivered' | 'dead';
  readonly runId: string;
  readonly connectorId: string;
  readonly conversationId: string;
  readonly threadId: string;
  readonly textBytes: number;
  readonly message?: OutboundMessage;
  readonly trace: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** One delivery's step: its row as it is stored, and as it shall be. */
export interface RowChange {
  readonly deliveryId: string;
  readonly revision: number;
  readonly before: DeliveryRow;
  readonly after: DeliveryRow;
}

export interface NewDelivery {
  readonly runId: string;
  readonly target: ReplyTarget;
  readonly message: OutboundMessage;
  readonly order: number;
  readonly trace: string;
  readonly atMs: number;
}

/** The tape of a run counts from 0; what becomes of its deliveries is written behind everything the run itself says. */
const TAPE_DELIVERY_SEQ = 9_000;

const MAX_REASON_CHARS = 300;

export function queuedRow({
  runId,
  target,
  message,
  order,
  trace,
  atMs,
}: NewDelivery): DeliveryRow {
  return {
    v: 1,
    ...NO_PROGRESS,
    status: 'queued',
    runId,
    connectorId: target.connectorId,
    conversationId: target.conversationId,
    threadId: target.threadId,
    message,
    order,
    trace,
    createdAtMs: atMs,
    updatedAtMs: atMs,
  };
}

export function progressed(
  row: DeliveryRow,
  status: DeliveryStatus,
  progress: Progress,
  atMs: number,
): DeliveryRow {
  const reason = progress.reason.slice(0, MAX_REASON_CHARS);
  return { ...row, ...progress, reason, status, updatedAtMs: atMs };
}

export function progressOf(row: DeliveryRow): Progress {
  const { chunk, chunks, attempt, failures, attempts, crashes, losses } = row;
  const { nextAttemptAtMs, delayMs, reason, ending, nativeMessageIds, maybeDuplicate } = row;
  const { replayedAtMs } = row;
  return {
    chunk,
    chunks,
    attempt,
    failures,
    attempts,
    crashes,
    losses,
    nextAttemptAtMs,
    delayMs,
    reason,
    ending,
    nativeMessageIds,
    maybeDuplicate,
    replayedAtMs,
  };
}

/** The outbox's part of a run's end. */
export function queuedPart(
  deliveries: readonly { readonly deliveryId: string; readonly row: DeliveryRow }[],
): ChangePart {
  return {
    expect: deliveries.map(({ deliveryId }) => ({
      table: DELIVERIES,
      key: deliveryId,
      revision: 0,
    })),
    put: deliveries.map(({ deliveryId, row }) => ({ table: DELIVERIES, key: deliveryId, row })),
    facts: deliveries.map(({ deliveryId, row }) => ({
      type: 'delivery.queued',
      deliveryId,
      connectorId: row.connectorId,
      conversationId: row.conversationId,
      sending: row.status === 'sending',
      textBytes: Buffer.byteLength(row.message.text),
      textSha256: hash('sha256', row.message.text, 'hex'),
      trace: row.trace,
    })),
  };
}

/** One delivery's next state; an ended one leaves `deliveries` for the table of its end. */
export function steppedPart({ deliveryId, revision, before, after }: RowChange): ChangePart {
  const expect = [{ table: DELIVERIES, key: deliveryId, revision }];
  const isReplay = before.replayedAtMs !== after.replayedAtMs;
  const facts = [factOf(deliveryId, after, isReplay ? 'replayed' : after.status)];
  switch (after.status) {
    case 'delivered':
    case 'dead': {
      const table = after.status === 'dead' ? DEAD_LETTERS : DELIVERED;
      const ended = { table, key: deliveryId, row: endedRow(after, after.status) };
      return {
        expect,
        facts,
        remove: [{ table: DELIVERIES, key: deliveryId }],
        put: after.status === 'dead' ? [ended, failureNote(deliveryId, after)] : [ended],
      };
    }
    default:
      return { expect, facts, put: [{ table: DELIVERIES, key: deliveryId, row: after }] };
  }
}

/**
 * The change set of a death, in which the run's session learns too, in the turns that its model sees, that this answer did
 * not arrive. The dead letter names the exchange: it may be kept longer than its run.
 */
export function notedDeath(
  changes: ChangeSet,
  exchange: OpenRun,
  deliveryId: string,
  { maybeDuplicate, nativeMessageIds, ending, updatedAtMs }: DeliveryRow,
): ChangeSet {
  const isPart = nativeMessageIds.length > 0;
  const became = isPart ? 'was delivered in part only' : 'was not delivered';
  const what = maybeDuplicate ? 'may not have been delivered' : became;
  const row: NoteRow = { v: 1, note: `This answer ${what} (${ending}).`, atMs: updatedAtMs };
  const put = changes.put.map((one) =>
    one.table === DEAD_LETTERS && one.key === deliveryId
      ? { ...one, row: { ...one.row, ...exchange } }
      : one,
  );
  const note = { table: TURNS, key: noteKey(exchange, numberOf(deliveryId)), row };
  return { ...changes, put: [...put, note] };
}

/** A dead letter is a delivery again; `exchange` is what its run's session remembers of it. */
export function revivedPart(
  deliveryId: string,
  revision: number,
  row: DeliveryRow,
  exchange: OpenRun | undefined,
): ChangePart {
  const dead = { table: DEAD_LETTERS, key: deliveryId };
  const note = exchange && { table: TURNS, key: noteKey(exchange, numberOf(deliveryId)) };
  return {
    expect: [
      { ...dead, revision },
      { table: DELIVERIES, key: deliveryId, revision: 0 },
    ],
    put: [{ table: DELIVERIES, key: deliveryId, row }],
    remove: note === undefined ? [dead] : [dead, note],
    facts: [factOf(deliveryId, row, 'replayed')],
  };
}

/** The delivery's own number within its run. */
function numberOf(deliveryId: string): number {
  return Number(deliveryId.slice(deliveryId.lastIndexOf(':') + 1));
}

/** Where who asks for the run learns that its answer did not arrive. */
function failureNote(deliveryId: string, row: DeliveryRow) {
  const text = `${deliveryId} to ${row.connectorId}: ${row.ending} (${row.reason})`;
  const entries = [{ type: 'delivery.failed', text }] as const;
  const note: TapeRow = { v: 1, entries, atMs: row.updatedAtMs };
  return {
    table: TAPES,
    key: tapeKey(row.runId, TAPE_DELIVERY_SEQ + numberOf(deliveryId)),
    row: note,
  };
}

function endedRow(row: DeliveryRow, status: EndedRow['status']): EndedRow {
  const { message, order: _order, ...rest } = row;
  return {
    ...rest,
    v: 1,
    status,
    ...progressOf(row),
    textBytes: Buffer.byteLength(message.text),
    ...(status === 'dead' ? { message } : {}),
  } as EndedRow;
}

/** An ended row as the machine knows it, at a new place in its lane. */
export function toDead(ended: EndedRow, message: OutboundMessage, order: number): DeliveryRow {
  const { textBytes: _textBytes, ...rest } = ended;
  return { ...rest, message, order };
}

function factOf(deliveryId: string, row: DeliveryRow, became: DeliveryStatus | 'replayed'): Fact {
  return {
    type: `delivery.${became}`,
    deliveryId,
    connectorId: row.connectorId,
    conversationId: row.conversationId,
    attempt: row.attempt,
    chunk: row.chunk,
    reason: row.reason,
    ...(row.status === 'dead' ? { ending: row.ending, attempts: row.attempts } : {}),
    ...(row.status === 'delivered' ? { maybeDuplicate: row.maybeDuplicate } : {}),
    trace: row.trace,
  };
}

export function toView(deliveryId: string, row: DeliveryRow | EndedRow): DeliveryView {
  return {
    deliveryId,
    connectorId: row.connectorId,
    conversationId: row.conversationId,
    status: row.status,
    attempts: row.attempts + (row.status === 'sending' ? 1 : 0),
    chunk: row.chunk,
    chunks: row.chunks,
    reason: row.reason,
    nativeMessageIds: row.nativeMessageIds,
    createdAtMs: row.createdAtMs,
    updatedAtMs: row.updatedAtMs,
    maybeDuplicate: row.maybeDuplicate,
  };
}

export function isActive(status: DeliveryStatus): status is ActiveStatus {
  return (ACTIVE_STATUSES as readonly string[]).includes(status);
}

/** A row may be older than these. */
const LATER_FIELDS: Partial<Progress> = { losses: 0, replayedAtMs: 0 };

export function parseDeliveryRow(row: Row): DeliveryRow {
  const delivery = row as DeliveryRow;
  const isDelivery = isActive(delivery.status) && typeof delivery.order === 'number';
  if (row.v !== 1 || !isDelivery) throw unreadable(DELIVERIES, row);
  return typeof delivery.replayedAtMs === 'number' ? delivery : { ...LATER_FIELDS, ...delivery };
}

export function parseEndedRow(row: Row): EndedRow {
  const ended = row as EndedRow;
  const isEnded = ended.status === 'delivered' || ended.status === 'dead';
  if (row.v !== 1 || !isEnded) throw unreadable(`${DELIVERED} or ${DEAD_LETTERS}`, row);
  return typeof ended.replayedAtMs === 'number' ? ended : { ...LATER_FIELDS, ...ended };
}

function unreadable(table: string, row: Row): Error {
  return new Error(`${table}: a row of version ${row.v} cannot be read; expected version 1`);
}
