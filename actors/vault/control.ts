/** The operations on the vault: secrets go in and their names come out; none of them gives a secret back. */
import type { InputOf, OutputOf } from '../../proto/control/catalogue.ts';
import type { Metric, OperationReply, OwnedCall } from '../../proto/control/owner.ts';
import type { ErrorCode, FieldIssue } from '../../proto/errors.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { KeyPage } from '../../runtime/store/store.ts';

/** What the operations need of the vault. */
export interface VaultPowers {
  /** Replaces what was there. Settles when it is durable, or with why it is not. */
  put(ref: string, secret: string): Promise<{ readonly ok: boolean; readonly reason: string }>;
  /** Of the sealed secrets, `scope/key`. */
  keys(after: string, limit: number): Promise<KeyPage>;
}

const RETRY_AFTER_MS = 1_000;

export async function operate(call: OwnedCall, vault: VaultPowers): Promise<OperationReply> {
  switch (call.operation) {
    case 'vault.put': {
      const { scope, key, secret } = call.input as InputOf<'vault.put'>;
      const ref = `vault:${scope}/${key}`;
      const { ok, reason } = await vault.put(ref, secret);
      if (!ok) return notPut(ref, reason);
      return { ok: true, output: { ref } satisfies OutputOf<'vault.put'> };
    }
    case 'vault.list':
      return list(call.input as InputOf<'vault.list'>, vault);
    default:
      return refused('not_found', `the vault has no ${call.operation}`);
  }
}

/** `after` and `next` are references, as the list has them. */
async function list(
  { after, limit }: InputOf<'vault.list'>,
  vault: VaultPowers,
): Promise<OperationReply> {
  try {
    const page = await vault.keys(after.replace(/^vault:/, ''), limit);
    const refs = page.keys.map((key) => `vault:${key}`);
    const next = page.next === '' ? '' : `vault:${page.next}`;
    return { ok: true, output: { refs, next } satisfies OutputOf<'vault.list'> };
  } catch (error) {
    return refused('unavailable', `the names cannot be read (${codeOf(error)})`);
  }
}

export function metrics(files: {
  readonly reading: number;
  readonly asked: number;
}): readonly Metric[] {
  const one = (name: string, help: string, value: number): Metric => ({
    name: `palyra_vault_${name}`,
    help,
    type: 'gauge',
    samples: [{ labels: {}, value }],
  });
  return [
    one('file_reads', 'Secret files that are being read, also for nobody any more', files.reading),
    one('file_asks', 'Askers that wait for a secret file', files.asked),
  ];
}

function notPut(ref: string, reason: string): OperationReply {
  switch (reason) {
    case 'invalid_secret': {
      const issue = { field: 'secret', message: 'a secret has 1 to 65,536 bytes' };
      return refused('validation_error', `${ref} was not stored`, [issue]);
    }
    case 'conflict':
      return refused('revision_conflict', `${ref} was stored by somebody else meanwhile`);
    case 'busy':
    case 'storage_low':
      return refused(reason, `${ref} was not stored`);
    case 'ask_timeout':
      return refused('deadline_exceeded', `nobody says whether ${ref} was stored`);
    case 'mailbox_full':
    case 'actor_dead':
      return refused('unavailable', `${ref} was not stored (${reason})`);
    default:
      return refused('failed_precondition', `${ref} cannot be sealed (${reason})`);
  }
}

function refused(
  code: ErrorCode,
  message: string,
  issues: readonly FieldIssue[] = [],
): OperationReply {
  const isLater = code === 'busy' || code === 'storage_low' || code === 'unavailable';
  return {
    ok: false,
    error: {
      code,
      message,
      ...(isLater ? { retryAfterMs: RETRY_AFTER_MS } : {}),
      ...(issues.length > 0 ? { issues } : {}),
    },
  };
}
