/** What an operator hears of a replay or a discard. */
import type { OutputOf } from '../../proto/control/catalogue.ts';
import type { OperationReply } from '../../proto/control/owner.ts';
import type { ErrorCode } from '../../proto/errors.ts';
import type { Account, Intervention } from './book.ts';
import type { DeliveryRow } from './rows.ts';

const RETRY_MS = 1_000;

export function done(output: OutputOf<'channels.replay'>): OperationReply {
  return { ok: true, output };
}

/** An active delivery that the verb does not take: there is nothing to do, and for a replay that may be because it was done. */
export function onItsWay(
  { verb, deliveryId }: Intervention,
  account: Account,
  row: DeliveryRow,
): OperationReply {
  if (verb === 'replay' && row.replayedAtMs > 0) {
    return done({ delivery_id: deliveryId, status: row.status, changed: false });
  }
  const way = account.isConfigured
    ? 'goes on by itself'
    : `waits for ${account.id}, which is not configured`;
  const message = `delivery ${deliveryId} is ${row.status} and ${way}`;
  return refusal('failed_precondition', message);
}

export function changedMeanwhile(deliveryId: string): OperationReply {
  return refusal('revision_conflict', `delivery ${deliveryId} changed meanwhile`, RETRY_MS);
}

export function refusal(code: ErrorCode, message: string, retryAfterMs?: number): OperationReply {
  const error = { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  return { ok: false, error };
}
