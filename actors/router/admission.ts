/** What admitting one event makes durable and what its sender hears, as values. Asking the ledger is the actor's business. */
import { type EnvelopeId, ulidTimeMs } from '../../proto/ids.ts';
import {
  type EncodedChangeSet,
  encodeChangeSet,
  encodedRow,
} from '../../runtime/store/encoding.ts';
import type { StoredRow } from '../../runtime/store/store.ts';
import type { CommitReply } from '../ledger/protocol.ts';
import type { RoutedRun } from '../sessions/protocol.ts';
import type { Decision } from './decide.ts';
import type { AdmitReply, AdmitRequest } from './protocol.ts';
import {
  type Admission,
  acceptedChanges,
  dedupeKey,
  INBOX,
  parseDedupeRow,
  rejectedChanges,
} from './rows.ts';

/** How long a sender should wait when nothing better is known. */
export const RETRY_AFTER_MS = 1_000;

export interface Plan {
  readonly dedupeKey: string;
  readonly bodySha256: string;
  readonly changes: EncodedChangeSet;
  /** Once the changes are flushed. */
  readonly reply: Extract<AdmitReply, { type: 'accepted' | 'rejected' }>;
  /** Its row lacks the revision, which is known after the commit; absent for a rejected event. */
  readonly run?: RoutedRun;
  readonly trace: string;
}

/** One change set: accept + route, or accept + rejected. Throws `not_encodable` or `bad_option` where no store takes the event. */
export function planAdmission(
  request: AdmitRequest,
  decision: Decision,
  ids: { readonly envelopeId: EnvelopeId; readonly after: string },
): Plan {
  const { envelopeId, after } = ids;
  const { offer, bodySha256, replyTo, trace } = request;
  // Without a native id nothing tells two messages apart: each is its own.
  const nativeId = offer.nativeId === '' ? envelopeId : offer.nativeId;
  // The instant is told by the id itself, so that whoever knows the id knows it.
  const atMs = ulidTimeMs(envelopeId);
  const key = dedupeKey(offer.connectorId, nativeId);
  const admission: Admission = { key, offer, envelopeId, nativeId, bodySha256, atMs, trace };
  if (!decision.accepted) {
    const { reason } = decision;
    return {
      dedupeKey: key,
      bodySha256,
      changes: encodeChangeSet(rejectedChanges(admission, reason)),
      reply: { type: 'rejected', envelopeId, reason },
      trace,
    };
  }
  const { sessionKey, responsePrefix } = decision;
  const route = { sessionKey, responsePrefix, replyTo };
  const changes = encodeChangeSet(acceptedChanges(admission, route));
  return {
    dedupeKey: key,
    bodySha256,
    changes,
    reply: { type: 'accepted', envelopeId },
    run: { sessionKey, envelopeId, after, row: encodedRow(changes, INBOX) },
    trace,
  };
}

/** What the row of an event that came before says of the one that came now; undefined when there is no such row. */
export function toRepeatReply(
  rows: readonly StoredRow[],
  bodySha256: string,
): Extract<AdmitReply, { type: 'duplicate' | 'rejected' | 'conflict' }> | undefined {
  const [stored] = rows;
  if (stored === undefined) return undefined;
  const { row } = parseDedupeRow(stored);
  if (row.bodySha256 !== bodySha256) return { type: 'conflict' };
  const { envelopeId, rejectedFor } = row;
  if (rejectedFor === undefined) return { type: 'duplicate', envelopeId };
  return { type: 'rejected', envelopeId, reason: rejectedFor };
}

/** What a commit that wrote nothing means to the sender. */
export function toRefusal(reply: Extract<CommitReply, { ok: false }>): AdmitReply {
  if (reply.code === 'conflict') return refused('busy', RETRY_AFTER_MS);
  return refused(reply.code, reply.retryAfterMs);
}

export function refused(
  code: Extract<AdmitReply, { type: 'refused' }>['code'],
  retryAfterMs = RETRY_AFTER_MS,
): AdmitReply {
  return { type: 'refused', code, retryAfterMs };
}
