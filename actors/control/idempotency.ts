/**
 * Makes a command with an idempotency key happen once: begun before it runs, its answer kept, a repeat answered from it. A
 * refusal that a repeat may change is not kept.
 */
import { createHash } from 'node:crypto';
import type { OperationReply } from '../../proto/control/owner.ts';
import { ERROR_CODES, PalyraError } from '../../proto/errors.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import type { ControlCall, ControlProtocol } from './protocol.ts';
import { begun, IDEMPOTENCY_TABLE, type IdempotencyRow, parseIdempotencyRow } from './rows.ts';

const LEDGER_DEADLINE_MS = 10_000;
// Of these the whole answer is kept; older ones are answered from the row, without what is shown only once.
const KEPT_ANSWERS = 256;
const MAX_KEY_BYTES = 256;
const MAX_STORED_BYTES = 65_536;

type Remembered = { readonly inputSha256: string; readonly reply: Promise<OperationReply> };

export class IdempotencyMemory {
  readonly #answers = new Map<string, Remembered>();

  find(key: string): Remembered | undefined {
    return this.#answers.get(key);
  }

  keep(key: string, remembered: Remembered): void {
    this.#answers.set(key, remembered);
    if (this.#answers.size <= KEPT_ANSWERS) return;
    const [oldest] = this.#answers.keys();
    if (oldest !== undefined) this.#answers.delete(oldest);
  }

  forget(key: string): void {
    this.#answers.delete(key);
  }
}

/** '' where the call carries no key. */
export function idempotencyKeyOf(call: ControlCall): string {
  if (call.idempotencyKey === '') return '';
  if (Buffer.byteLength(call.idempotencyKey) > MAX_KEY_BYTES) {
    throw new PalyraError('malformed', `an idempotency key has at most ${MAX_KEY_BYTES} bytes`);
  }
  return `${call.principal.name}\0${call.operation}\0${call.idempotencyKey}`;
}

/** Equal for equal inputs, whatever the order of their keys. */
export function digestOf(input: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(input)))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) => [name, sorted(entry)]);
}

export function refuseOtherInput(kept: string, given: string): void {
  if (kept !== given) {
    throw new PalyraError(
      'idempotency_conflict',
      'this idempotency key came before with another input',
    );
  }
}

/** Writes that the command begins; or gives the reply of an earlier one. */
export async function beginOnce(
  row: IdempotencyRow,
  key: string,
  ledger: ActorRef<LedgerProtocol>,
  self: Self<ControlProtocol>,
): Promise<OperationReply | undefined> {
  const deadline = { inMs: LEDGER_DEADLINE_MS };
  const changes = begun(key, row);
  const reply = await self.ask(ledger, 'commit', { changes, admits: false }, deadline);
  if (reply.ok) return undefined;
  if (reply.code !== 'conflict') {
    const { code, retryAfterMs } = reply;
    throw new PalyraError(code, 'the command was not begun', { retryAfterMs });
  }
  const [stored] = await self.ask(ledger, 'read', { table: IDEMPOTENCY_TABLE, key }, deadline);
  if (stored === undefined) {
    throw new PalyraError('revision_conflict', 'the idempotency key has just expired; try again');
  }
  return replyOf(parseIdempotencyRow(stored.row), row.inputSha256);
}

function replyOf(row: IdempotencyRow, inputSha256: string): OperationReply {
  refuseOtherInput(row.inputSha256, inputSha256);
  if (row.status === 'done') return { ok: true, output: row.output };
  if (row.status === 'refused' && row.errorCode !== '') {
    return { ok: false, error: { code: row.errorCode, message: row.errorMessage } };
  }
  throw new PalyraError(
    'failed_precondition',
    'nobody knows how the command of this idempotency key ended: look whether it took effect, then use a new key',
  );
}

/**
 * How the command ended, as it is kept: still `begun` where nobody knows, undefined where nothing happened and the key is
 * free again. An answer too large to keep is replayed as null.
 */
export function endedRow(row: IdempotencyRow, reply: OperationReply): IdempotencyRow | undefined {
  if (!reply.ok) {
    const { code, message } = reply.error;
    if (reply.mayHaveHappened || code === 'deadline_exceeded') return row;
    const [, isRetryable] = ERROR_CODES[code];
    if (isRetryable) return undefined;
    return { ...row, status: 'refused', errorCode: code, errorMessage: message };
  }
  const output = withoutSecret(reply.output);
  const isLarge = Buffer.byteLength(JSON.stringify(output) ?? '') > MAX_STORED_BYTES;
  return { ...row, status: 'done', output: isLarge ? null : output };
}

// A secret that is shown once must not come to rest in clear.
function withoutSecret(output: unknown): unknown {
  if (typeof output !== 'object' || output === null || !('secret' in output)) return output;
  return { ...output, secret: '' };
}
