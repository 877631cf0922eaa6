/** The router's tables: `inbox` (events whose run is open) and `dedupe` (native ids seen), and their change-set parts. */
import { createHash } from 'node:crypto';
import type { InboundMessageEvent, ReplyTarget } from '../../proto/channel-messages.ts';
import type { EnvelopeId, RunId, SessionKey } from '../../proto/ids.ts';
import type { ChangePart } from '../../runtime/store/change-set.ts';
import type { Row, StoredRow } from '../../runtime/store/store.ts';

export const INBOX = 'inbox';
export const DEDUPE = 'dedupe';

/** A store key holds 1,900 bytes; an id beyond this is no platform's and is stored as its digest. */
const MAX_NATIVE_ID_BYTES = 1_024;

/** Lives until its run has ended. */
export interface InboxRow extends Row {
  readonly v: 1;
  readonly status: 'routed';
  readonly runId: string;
  readonly sessionKey: string;
  readonly event: InboundMessageEvent;
  /** Absent: the output ends on the run's tape. */
  readonly replyTo?: ReplyTarget;
  readonly responsePrefix: string;
  readonly trace: string;
}

export interface DedupeRow extends Row {
  readonly v: 1;
  readonly envelopeId: string;
  readonly bodySha256: string;
  readonly acceptedAtMs: number;
  /** Why a rule turned it away; absent: it was routed. */
  readonly rejectedFor?: string;
}

/** An accepted or rejected event and what identifies it, as both change sets need it. */
export interface Admission {
  readonly event: InboundMessageEvent;
  readonly envelopeId: EnvelopeId;
  readonly nativeId: string;
  readonly bodySha256: string;
  readonly atMs: number;
  readonly trace: string;
}

export interface Route {
  readonly runId: RunId;
  readonly sessionKey: SessionKey;
  readonly responsePrefix: string;
  readonly replyTo?: ReplyTarget;
}

export function dedupeKey(channel: string, nativeId: string): string {
  const isLong = Buffer.byteLength(nativeId) > MAX_NATIVE_ID_BYTES;
  return `${channel}\0${isLong ? createHash('sha256').update(nativeId).digest('hex') : nativeId}`;
}

/** The router's part of accept + route: refused when the native id was seen before. */
export function acceptedPart(admission: Admission, route: Route): ChangePart {
  const { event, envelopeId, trace } = admission;
  const { runId, sessionKey, responsePrefix, replyTo } = route;
  const row: InboxRow = {
    v: 1,
    status: 'routed',
    runId,
    sessionKey,
    event,
    ...(replyTo === undefined ? {} : { replyTo }),
    responsePrefix,
    trace,
  };
  const seen = seenPart(admission);
  return {
    expect: seen.expect,
    put: [...seen.put, { table: INBOX, key: envelopeId, row }],
    facts: [
      { type: 'message.accepted', ...factFields(admission) },
      {
        type: 'message.routed',
        envelopeId,
        runId,
        sessionKey,
        replies: replyTo !== undefined,
        trace,
      },
    ],
  };
}

/** Accept + rejected: durable, so that the same event offered again hears the same and is not judged anew. */
export function rejectedPart(admission: Admission, reason: string): ChangePart {
  const seen = seenPart(admission, { rejectedFor: reason });
  return {
    ...seen,
    facts: [
      { type: 'message.accepted', ...factFields(admission) },
      {
        type: 'message.rejected',
        envelopeId: admission.envelopeId,
        reason,
        trace: admission.trace,
      },
    ],
  };
}

/** Takes an event out of the inbox once its run has ended; `revision` 0 where it was already gone. */
export function inboxDonePart(envelopeId: string, revision: number): ChangePart {
  const row = { table: INBOX, key: envelopeId };
  return { expect: [{ ...row, revision }], remove: revision === 0 ? [] : [row] };
}

export function parseInboxRow(stored: StoredRow): StoredRow<InboxRow> {
  const { row } = stored;
  if (row.v !== 1 || typeof row.event !== 'object') throw unreadable(INBOX, row);
  return stored as StoredRow<InboxRow>;
}

export function parseDedupeRow(stored: StoredRow): StoredRow<DedupeRow> {
  const { row } = stored;
  if (row.v !== 1 || typeof row.envelopeId !== 'string') throw unreadable(DEDUPE, row);
  return stored as StoredRow<DedupeRow>;
}

function seenPart(admission: Admission, verdict: Pick<DedupeRow, 'rejectedFor'> = {}) {
  const { event, nativeId, envelopeId, bodySha256, atMs } = admission;
  const key = dedupeKey(event.connectorId, nativeId);
  const row: DedupeRow = { v: 1, envelopeId, bodySha256, acceptedAtMs: atMs, ...verdict };
  return {
    expect: [{ table: DEDUPE, key, revision: 0 }],
    put: [{ table: DEDUPE, key, row }],
  };
}

function factFields(admission: Admission) {
  const { event, envelopeId, nativeId, bodySha256, trace } = admission;
  return {
    envelopeId,
    channel: event.connectorId,
    nativeId,
    bodyBytes: Buffer.byteLength(event.body),
    bodySha256,
    trace,
  };
}

function unreadable(table: string, row: Row): Error {
  return new Error(`${table}: a row of version ${row.v} cannot be read; expected version 1`);
}
