/** The router's tables: `inbox` (one row for each run that has not ended) and `dedupe` (native ids seen), and their change-set parts. */
import { createHash } from 'node:crypto';
import type {
  InboundMessageEvent,
  InboundOffer,
  ReplyTarget,
} from '../../proto/channel-messages.ts';
import type { EnvelopeId, SessionKey } from '../../proto/ids.ts';
import type { ChangeSet, Row, StoredRow } from '../../runtime/store/store.ts';

export const INBOX = 'inbox';
export const DEDUPE = 'dedupe';

/** A store key holds 1,900 bytes; an id beyond this is no platform's and is stored as its digest. */
const MAX_NATIVE_ID_BYTES = 1_024;

/** An event whose run has not ended: all that the run needs. Its key names the session and the envelope. */
export interface InboxRow extends Row {
  readonly v: 1;
  readonly event: InboundMessageEvent;
  /** Null: the output ends on the run's tape. */
  readonly replyTo: ReplyTarget | null;
  readonly responsePrefix: string;
  readonly trace: string;
  /** Times that its run was cut before its end, whatever cut it. */
  readonly attempts: number;
  /** Those of them that the run itself is blamed for. */
  readonly crashes: number;
  /** Those of them that were an end of the process. */
  readonly processEnds: number;
}

/** What the key of an inbox row says. */
export interface OpenRun {
  readonly sessionKey: string;
  readonly envelopeId: string;
}

export interface DedupeRow extends Row {
  readonly v: 1;
  readonly envelopeId: string;
  readonly bodySha256: string;
  readonly acceptedAtMs: number;
  /** Why a rule turned it away; absent: it was routed. */
  readonly rejectedFor?: string;
}

/** An event and what identifies it, as either change set needs it. */
export interface Admission {
  /** Of its row in `dedupe`. */
  readonly key: string;
  readonly offer: InboundOffer;
  readonly envelopeId: EnvelopeId;
  readonly nativeId: string;
  readonly bodySha256: string;
  readonly atMs: number;
  readonly trace: string;
}

export function dedupeKey(channel: string, nativeId: string): string {
  const isLong = Buffer.byteLength(nativeId) > MAX_NATIVE_ID_BYTES;
  return `${channel}\0${isLong ? createHash('sha256').update(nativeId).digest('hex') : nativeId}`;
}

/** In the order of acceptance within a session, also within one millisecond. */
export function inboxKey(sessionKey: string, envelopeId: string): string {
  return `${sessionKey}\0${envelopeId}`;
}

/** The start of all keys of one session. */
export function inboxPrefix(sessionKey: string): string {
  return inboxKey(sessionKey, '');
}

export function parseInboxKey(key: string): OpenRun {
  const at = key.lastIndexOf('\0');
  if (at < 1) throw new Error(`${INBOX}: a key names no session`);
  return { sessionKey: key.slice(0, at), envelopeId: key.slice(at + 1) };
}

/** Accept + route: refused when the native id was seen before. */
export function acceptedChanges(
  admission: Admission,
  route: { readonly sessionKey: SessionKey } & Pick<InboxRow, 'responsePrefix' | 'replyTo'>,
): ChangeSet {
  const { key, offer, nativeId, envelopeId, bodySha256, atMs, trace } = admission;
  const { sessionKey, responsePrefix, replyTo } = route;
  const seen: DedupeRow = { v: 1, envelopeId, bodySha256, acceptedAtMs: atMs };
  return {
    expect: [{ table: DEDUPE, key, revision: 0 }],
    put: [
      { table: DEDUPE, key, row: seen },
      {
        table: INBOX,
        key: inboxKey(sessionKey, envelopeId),
        row: newInbox(offer, trace, responsePrefix, replyTo),
      },
    ],
    remove: [],
    facts: [
      {
        type: 'message.accepted',
        envelopeId,
        channel: offer.connectorId,
        nativeId,
        sessionKey,
        bodyBytes: Buffer.byteLength(offer.body),
        bodySha256,
        replies: replyTo !== null,
        trace,
      },
    ],
  };
}

/** Accept + rejected: durable, so that the same event offered again hears the same and is not judged anew. */
export function rejectedChanges(admission: Admission, reason: string): ChangeSet {
  const { key, offer, nativeId, envelopeId, bodySha256, atMs, trace } = admission;
  const seen: DedupeRow = {
    v: 1,
    envelopeId,
    bodySha256,
    acceptedAtMs: atMs,
    rejectedFor: reason,
  };
  return {
    expect: [{ table: DEDUPE, key, revision: 0 }],
    put: [{ table: DEDUPE, key, row: seen }],
    remove: [],
    facts: [
      {
        type: 'message.rejected',
        envelopeId,
        channel: offer.connectorId,
        nativeId,
        bodyBytes: Buffer.byteLength(offer.body),
        bodySha256,
        reason,
        trace,
      },
    ],
  };
}

/** Takes an event out of the inbox once its run has ended; who comes second with the same revision is refused. */
export function inboxDonePart(key: string, revision: number): Pick<ChangeSet, 'expect' | 'remove'> {
  return { expect: [{ table: INBOX, key, revision }], remove: [{ table: INBOX, key }] };
}

/** As it is written: a field that has its usual value is left out, and so is the id that stands in the key. */
interface WrittenEvent {
  connectorId: string;
  conversationId: string;
  threadId?: string;
  senderId: string;
  senderDisplay?: string;
  senderVerified?: boolean;
  body: string;
  adapterMessageId: string;
  receivedAtMs: number;
  isDirectMessage?: boolean;
  requestedBroadcast?: boolean;
  attachments?: InboundMessageEvent['attachments'];
}

interface WrittenInbox extends Row {
  v: 1;
  event: WrittenEvent;
  replyTo?: ReplyTarget;
  responsePrefix?: string;
  trace: string;
  attempts?: number;
  crashes?: number;
  processEnds?: number;
}

/** Field by field, here and below: it is done for each message, and a loop over names costs ten times as much. */
export function writtenInbox(row: InboxRow): Row {
  const written = newInbox(row.event, row.trace, row.responsePrefix, row.replyTo);
  if (row.attempts !== 0) written.attempts = row.attempts;
  if (row.crashes !== 0) written.crashes = row.crashes;
  if (row.processEnds !== 0) written.processEnds = row.processEnds;
  return written;
}

/** Of a run that was never cut. */
function newInbox(
  event: InboundOffer | InboundMessageEvent,
  trace: string,
  responsePrefix: string,
  replyTo: ReplyTarget | null,
): WrittenInbox {
  const written: WrittenInbox = { v: 1, event: writtenEvent(event), trace };
  if (replyTo !== null) written.replyTo = replyTo;
  if (responsePrefix !== '') written.responsePrefix = responsePrefix;
  return written;
}

function writtenEvent(event: InboundOffer | InboundMessageEvent): WrittenEvent {
  const written: WrittenEvent = {
    connectorId: event.connectorId,
    conversationId: event.conversationId,
    senderId: event.senderId,
    body: event.body,
    adapterMessageId: event.adapterMessageId,
    receivedAtMs: event.receivedAtMs,
  };
  if (event.threadId !== '') written.threadId = event.threadId;
  if (event.senderDisplay !== '') written.senderDisplay = event.senderDisplay;
  if (event.senderVerified) written.senderVerified = true;
  if (event.isDirectMessage) written.isDirectMessage = true;
  if (event.requestedBroadcast) written.requestedBroadcast = true;
  if (event.attachments.length > 0) written.attachments = event.attachments;
  return written;
}

/** `envelopeId` is the one in its key. */
export function parseInboxRow(stored: StoredRow, envelopeId: string): StoredRow<InboxRow> {
  const { revision, row } = stored;
  const { event, replyTo, responsePrefix, trace } = row as WrittenInbox;
  const { attempts = 0, crashes = 0, processEnds = 0 } = row as WrittenInbox;
  const isText = typeof event?.body === 'string' && typeof event.connectorId === 'string';
  const isCounted =
    typeof attempts === 'number' && typeof crashes === 'number' && typeof processEnds === 'number';
  if (row.v !== 1 || !isText || !isCounted || typeof trace !== 'string') {
    throw unreadable(INBOX, row);
  }
  return {
    revision,
    row: {
      v: 1,
      event: toEvent(event, envelopeId as EnvelopeId),
      replyTo: replyTo ?? null,
      responsePrefix: responsePrefix ?? '',
      trace,
      attempts,
      crashes,
      processEnds,
    },
  };
}

function toEvent(event: WrittenEvent, envelopeId: EnvelopeId): InboundMessageEvent {
  return {
    envelopeId,
    connectorId: event.connectorId,
    conversationId: event.conversationId,
    threadId: event.threadId ?? '',
    senderId: event.senderId,
    senderDisplay: event.senderDisplay ?? '',
    senderVerified: event.senderVerified ?? false,
    body: event.body,
    adapterMessageId: event.adapterMessageId,
    receivedAtMs: event.receivedAtMs,
    isDirectMessage: event.isDirectMessage ?? false,
    requestedBroadcast: event.requestedBroadcast ?? false,
    attachments: event.attachments ?? [],
  };
}

export function parseDedupeRow(stored: StoredRow): StoredRow<DedupeRow> {
  const { row } = stored;
  if (row.v !== 1 || typeof row.envelopeId !== 'string') throw unreadable(DEDUPE, row);
  return stored as StoredRow<DedupeRow>;
}

function unreadable(table: string, row: Row): Error {
  return new Error(`${table}: a row of version ${row.v} cannot be read; expected version 1`);
}
