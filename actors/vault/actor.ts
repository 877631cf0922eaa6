/** The vault: finds secrets by reference, and keeps its own ones sealed in the ledger. It holds no secret between messages. */
import {
  type ActorRef,
  type Deferred,
  defineActor,
  type Self,
  type Settled,
} from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import { metrics, operate } from './control.ts';
import type { SecretReply, VaultProtocol } from './protocol.ts';
import { SECRETS_TABLE, type SecretRow, secretStored } from './rows.ts';
import { type MasterKey, NONCE_BYTES, seal, toMasterKey, unseal } from './seal.ts';
import { parseSecretRef, showRef } from './secret-ref.ts';

const MAX_SECRET_BYTES = 65_536;
const LEDGER_DEADLINE_MS = 10_000;
const FILE_DEADLINE_MS = 5_000;
// Each takes a thread of the pool that the store writes with: a file system that hangs must leave it the others.
const MAX_FILE_READS = 2;
// Each holds a caller that has its own deadline.
const MAX_FILE_ASKS = 256;
const MIN_GENERATED_BYTES = 16;
const MAX_GENERATED_BYTES = 1_024;

export interface VaultArgs {
  readonly ledger: ActorRef<LedgerProtocol>;
}

export interface VaultDeps {
  readEnv(name: string): string | undefined;
  /**
   * At most `maxBytes` + 1 of it, so that a larger one is seen as such; undefined where there is none. Rejects for what
   * is no regular file, and never waits for a writer.
   */
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Fit for secrets. */
  randomBytes(size: number): Uint8Array;
  /** 32 bytes: the key file's. Where there is none: a new one's if `make`, else undefined. */
  masterKey(make: boolean): Promise<Uint8Array | undefined>;
}

/** The store was moved or restored without its key. */
export class VaultKeyMissing extends Error {
  readonly code = 'vault_key_missing';
  readonly retryable = false;

  constructor() {
    super(
      'the store holds sealed secrets, and the vault.key that opens them is not in the state root: put it back there; no new one was made',
    );
    this.name = 'VaultKeyMissing';
  }
}

interface VaultOwn {
  fileRead(outcome: {
    readonly id: number;
    readonly settled: Settled<Uint8Array | undefined>;
  }): void;
  fileLate(read: { readonly id: number }): void;
}

interface FileAsk {
  readonly ref: string;
  readonly path: string;
  readonly answer: Deferred<SecretReply>;
  isReading: boolean;
}

interface VaultState {
  readonly args: VaultArgs;
  readonly deps: VaultDeps;
  /** Not answered yet, in the order they came. */
  readonly fileAsks: Map<number, FileAsk>;
  nextFileId: number;
  /** Reads that have not ended; one that was too late for its asker goes on. */
  fileReads: number;
  key: MasterKey | undefined;
}

type VaultSelf = Self<VaultProtocol & VaultOwn>;

export const vaultActor = defineActor<VaultProtocol, VaultOwn, VaultArgs, VaultState, VaultDeps>({
  module: import.meta.url,
  export: 'vaultActor',
  name: 'vault',
  mailbox: { limitMessages: 4_096, overflow: 'reject' },
  async start(self, args, deps) {
    const state: VaultState = {
      args,
      deps,
      fileAsks: new Map(),
      nextFileId: 1,
      fileReads: 0,
      key: undefined,
    };
    try {
      await masterKey(state, self);
    } catch (error) {
      if (error instanceof VaultKeyMissing) throw error;
      // Without its key the vault still reads the environment and files; the next use tries again and says why.
    }
    return state;
  },
  receive: {
    reveal(state, { ref }, self) {
      const parsed = parseSecretRef(ref);
      if (parsed === undefined) {
        const message = 'a secret reference is env:NAME, file:PATH or vault:scope/key';
        return { ok: false, code: 'invalid_ref', message };
      }
      if (parsed.source === 'env') return found(ref, state.deps.readEnv(parsed.name));
      if (parsed.source === 'file') return askFile(state, ref, parsed.path, self);
      return openSealed(state, ref, parsed.key, self);
    },
    put: putSecret,
    operate: (state, call, self) =>
      operate(call, {
        put: (ref, secret) => putSecret(state, { ref, secret, replace: true }, self),
        keys: (after, limit) => readKeys(state, after, limit, self),
      }),
    metrics: (state) => metrics({ reading: state.fileReads, asked: state.fileAsks.size }),
    generate(state, { bytes }) {
      const size = Math.min(MAX_GENERATED_BYTES, Math.max(MIN_GENERATED_BYTES, Math.trunc(bytes)));
      return { secret: Buffer.from(state.deps.randomBytes(size)).toString('base64') };
    },
    fileRead(state, { id, settled }, self) {
      state.fileReads -= 1;
      readFiles(state, self);
      const reply = (ref: string) =>
        settled.ok ? fromFile(ref, settled.value) : notReadable(ref, codeOf(settled.error));
      if (answerFile(state, id, reply)) self.cancel(`file:${id}`);
    },
    fileLate(state, { id }) {
      answerFile(state, id, (ref) => notReadable(ref, `no answer after ${FILE_DEADLINE_MS} ms`));
    },
  },
});

/** The deadline counts from here, also while others are being read. */
function askFile(
  state: VaultState,
  ref: string,
  path: string,
  self: VaultSelf,
): SecretReply | PromiseLike<SecretReply> {
  if (state.fileAsks.size >= MAX_FILE_ASKS) {
    return notReadable(ref, `${MAX_FILE_ASKS} files are being asked for already`);
  }
  const answer = self.defer<SecretReply>();
  const id = state.nextFileId;
  state.nextFileId += 1;
  state.fileAsks.set(id, { ref, path, answer, isReading: false });
  self.after(`file:${id}`, FILE_DEADLINE_MS, 'fileLate', { id });
  readFiles(state, self);
  return answer.promise;
}

function readFiles(state: VaultState, self: VaultSelf): void {
  for (const [id, ask] of state.fileAsks) {
    if (state.fileReads >= MAX_FILE_READS) return;
    if (ask.isReading) continue;
    ask.isReading = true;
    state.fileReads += 1;
    self.run(
      () => state.deps.readFile(ask.path, MAX_SECRET_BYTES),
      'fileRead',
      (settled) => ({ id, settled }),
    );
  }
}

/** False where it was answered before. */
function answerFile(state: VaultState, id: number, reply: (ref: string) => SecretReply): boolean {
  const ask = state.fileAsks.get(id);
  if (ask === undefined) return false;
  state.fileAsks.delete(id);
  ask.answer.resolve(reply(ask.ref));
  return true;
}

function fromFile(ref: string, bytes: Uint8Array | undefined): SecretReply {
  if (bytes === undefined) return found(ref, undefined);
  if (bytes.byteLength > MAX_SECRET_BYTES) {
    return notReadable(ref, `longer than ${MAX_SECRET_BYTES} bytes`);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return found(ref, text.replace(/\r?\n$/, ''));
  } catch {
    return notReadable(ref, 'not UTF-8 text');
  }
}

/** Parks the mailbox for one read of the ledger. */
async function openSealed(
  state: VaultState,
  ref: string,
  rowKey: string,
  self: VaultSelf,
): Promise<SecretReply> {
  try {
    const [stored] = await readRow(state, rowKey, self);
    if (stored === undefined) return found(ref, undefined);
    const key = await masterKey(state, self);
    if (key === undefined) return notReadable(ref, 'the vault key is not 32 bytes');
    const row = stored.row as SecretRow;
    if (row.keyId !== key.id) {
      return notReadable(ref, `sealed with key ${row.keyId}, the vault key here is ${key.id}`);
    }
    const secret = unseal(key, ref, row);
    return secret === undefined ? notReadable(ref, 'its row was changed') : found(ref, secret);
  } catch (error) {
    return notReadable(ref, codeOf(error));
  }
}

/** Parks the mailbox, so that two puts never overtake each other. */
async function putSecret(
  state: VaultState,
  {
    ref,
    secret,
    replace,
  }: { readonly ref: string; readonly secret: string; readonly replace: boolean },
  self: VaultSelf,
): Promise<{ readonly ok: boolean; readonly reason: string }> {
  const parsed = parseSecretRef(ref);
  if (parsed?.source !== 'vault') return { ok: false, reason: 'invalid_ref' };
  if (secret === '' || Buffer.byteLength(secret) > MAX_SECRET_BYTES) {
    return { ok: false, reason: 'invalid_secret' };
  }
  try {
    const [stored] = await readRow(state, parsed.key, self);
    if (stored !== undefined && !replace) return { ok: false, reason: 'already_exists' };
    const key = await masterKey(state, self);
    if (key === undefined) return { ok: false, reason: 'vault_key_unusable' };
    const nowMs = self.clock.wallMs();
    const row: SecretRow = {
      v: 1,
      ...seal(key, ref, secret, state.deps.randomBytes(NONCE_BYTES)),
      createdAtMs: stored === undefined ? nowMs : (stored.row as SecretRow).createdAtMs,
      updatedAtMs: nowMs,
    };
    const changes = secretStored(parsed.key, row, stored?.revision ?? 0);
    const deadline = { inMs: LEDGER_DEADLINE_MS };
    const reply = await self.ask(state.args.ledger, 'commit', { changes, admits: false }, deadline);
    return reply.ok ? { ok: true, reason: '' } : { ok: false, reason: reply.code };
  } catch (error) {
    return { ok: false, reason: codeOf(error) };
  }
}

function readRow(state: VaultState, key: string, self: VaultSelf) {
  return self.ask(
    state.args.ledger,
    'read',
    { table: SECRETS_TABLE, key },
    { inMs: LEDGER_DEADLINE_MS },
  );
}

/** A new key is made only for a store without sealed secrets: beside one it would lock its owner out of them. */
async function masterKey(state: VaultState, self: VaultSelf): Promise<MasterKey | undefined> {
  if (state.key !== undefined) return state.key;
  let bytes = await state.deps.masterKey(false);
  if (bytes === undefined) {
    if (await holdsSealed(state, self)) throw new VaultKeyMissing();
    bytes = await state.deps.masterKey(true);
  }
  if (bytes !== undefined) state.key = toMasterKey(bytes);
  return state.key;
}

async function holdsSealed(state: VaultState, self: VaultSelf): Promise<boolean> {
  const { keys } = await readKeys(state, '', 1, self);
  return keys.length > 0;
}

function readKeys({ args }: VaultState, after: string, limit: number, self: VaultSelf) {
  const query = { table: SECRETS_TABLE, after, limit };
  return self.ask(args.ledger, 'keys', query, { inMs: LEDGER_DEADLINE_MS });
}

function found(ref: string, secret: string | undefined): SecretReply {
  if (secret !== undefined && secret !== '') return { ok: true, secret };
  return { ok: false, code: 'missing', message: `nothing stands at ${showRef(ref)}` };
}

function notReadable(ref: string, reason: string): SecretReply {
  return { ok: false, code: 'unreadable', message: `${showRef(ref)} cannot be read: ${reason}` };
}
