/** The vault: what each kind of reference gives, and that nothing sealed or said reveals a secret. */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type VaultDeps, vaultActor } from '../../../actors/vault/actor.ts';
import type { SecretReply } from '../../../actors/vault/protocol.ts';
import type { SecretRow } from '../../../actors/vault/rows.ts';
import { seal, toMasterKey, unseal } from '../../../actors/vault/seal.ts';
import { parseSecretRef } from '../../../actors/vault/secret-ref.ts';
import type { OperationName } from '../../../proto/control/catalogue.ts';
import type { OperationReply } from '../../../proto/control/owner.ts';
import { createDeferred, type Deferral } from '../../../runtime/deferred.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ChangeSet, ScanQuery, Store } from '../../../runtime/store/store.ts';
import { createBehaviorKit, rejectionCode } from '../../../runtime/testing/behavior-kit.ts';
import { declared } from '../../support/declared.ts';
import { turnOfLoop } from '../ledger/open-ledger.ts';

const test = suite('vault');
const SEED = 20_261_101;
const SECRET = 'whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=';

async function openVault(options: { store?: Store; deps?: Partial<VaultDeps> } = {}) {
  const store = options.store ?? createMemoryStore();
  const commits: ChangeSet[] = [];
  const key = randomBytes(32);
  const deps: VaultDeps = {
    readEnv: (name) => ({ HAS: 'from-env', EMPTY: '' })[name],
    readFile: async (path) => (path === '/run/secret' ? Buffer.from('from-file\n') : undefined),
    randomBytes: (size) => randomBytes(size),
    masterKey: async () => key,
    ...options.deps,
  };
  const kit = await createBehaviorKit(vaultActor, { ledger: { address: 't/ledger' } }, deps, {
    async answer(_to, kind, payload) {
      if (kind === 'keys') return store.keys(payload as ScanQuery);
      if (kind === 'read') {
        const { table, key } = payload as { table: string; key: string };
        const stored = store.read(table, key);
        return stored === undefined ? [] : [stored];
      }
      const { changes } = payload as { changes: ChangeSet };
      commits.push(changes);
      return (await store.commit([changes], 1))[0];
    },
  });
  const reveal = async (ref: string): Promise<SecretReply> => {
    const reply = kit.receive('reveal', { ref }) as Promise<SecretReply>;
    await kit.settle();
    return reply;
  };
  const put = async (ref: string, secret: string, replace = false) =>
    (await kit.receive('put', { ref, secret, replace })) as { ok: boolean; reason: string };
  return { kit, store, commits, reveal, put, deps };
}

test('env: reads the environment; absent and empty are missing', async () => {
  const { reveal } = await openVault();
  assert.equal(await reveal('env:HAS'), { ok: true, secret: 'from-env' });
  for (const ref of ['env:NONE', 'env:EMPTY']) {
    const reply = await reveal(ref);
    assert.is(!reply.ok && reply.code, 'missing');
  }
});

test('file: gives the text without its last line break', async () => {
  const { reveal } = await openVault();
  assert.equal(await reveal('file:/run/secret'), { ok: true, secret: 'from-file' });
  const absent = await reveal('file:/none');
  assert.is(!absent.ok && absent.code, 'missing');
});

test('file: is unreadable where it is too large, no text, or the read fails', async () => {
  const contents: Record<string, () => Uint8Array> = {
    large: () => Buffer.alloc(65_537, 'x'),
    binary: () => Buffer.from([0xff, 0xfe]),
    denied: () => {
      throw Object.assign(new Error('the secret is hunter2'), { code: 'EACCES' });
    },
  };
  const { reveal } = await openVault({
    deps: { readFile: async (path) => contents[path]?.() },
  });
  for (const path of Object.keys(contents)) {
    const reply = await reveal(`file:${path}`);
    assert.is(!reply.ok && reply.code, 'unreadable', path);
    assert.not.ok(JSON.stringify(reply).includes('hunter2'));
  }
});

test('an operation puts and replaces a secret and lists its name', async () => {
  const { kit, reveal } = await openVault();
  const call = async (operation: OperationName, input: object) => {
    const reply = kit.receive('operate', { operation, input, principal: 'test' });
    return declared(operation, (await reply) as OperationReply);
  };
  for (const secret of ['first', SECRET]) {
    const reply = await call('vault.put', { scope: 'a', key: 'b', secret });
    assert.equal(reply, { ok: true, output: { ref: 'vault:a/b' } });
  }
  assert.equal(await reveal('vault:a/b'), { ok: true, secret: SECRET });
  const listed = await call('vault.list', { after: '', limit: 10 });
  assert.equal(listed, { ok: true, output: { refs: ['vault:a/b'], next: '' } });
});

test('two files are read at a time, also when they hang, and the next when one of them ends', async () => {
  const reads = new Map<string, Deferral<Uint8Array | undefined>>();
  const readFile = (path: string) => {
    const read = createDeferred<Uint8Array | undefined>();
    reads.set(path, read);
    return read.promise;
  };
  const { kit } = await openVault({ deps: { readFile } });
  const ask = (path: string) =>
    kit.receive('reveal', { ref: `file:${path}` }) as Promise<SecretReply>;
  const replies = ['/a', '/b', '/c'].map(ask);
  assert.equal([...reads.keys()], ['/a', '/b']);
  await kit.advance(5_000);
  for (const reply of await Promise.all(replies)) assert.is(!reply.ok && reply.code, 'unreadable');
  const late = ask('/d');
  assert.equal([...reads.keys()], ['/a', '/b'], 'both still hang');
  reads.get('/a')?.resolve(Buffer.from('nobody waits for it'));
  await turnOfLoop();
  assert.equal([...reads.keys()], ['/a', '/b', '/d'], 'nobody waits for /c');
  reads.get('/d')?.resolve(Buffer.from('there'));
  assert.equal(await late, { ok: true, secret: 'there' });
});

test('a file that never comes is unreadable after its deadline, and blocks nobody', async () => {
  const { kit } = await openVault({ deps: { readFile: () => new Promise(() => undefined) } });
  const late = kit.receive('reveal', { ref: 'file:/hangs' }) as Promise<SecretReply>;
  assert.equal(await kit.receive('reveal', { ref: 'env:HAS' }), { ok: true, secret: 'from-env' });
  await kit.advance(5_000);
  const reply = await late;
  assert.is(!reply.ok && reply.code, 'unreadable');
});

test('what is no reference is refused without being repeated', async () => {
  const { reveal } = await openVault();
  for (const ref of [
    SECRET,
    'hunter2',
    'env:',
    'env:A B',
    'vault:UPPER/key',
    'vault:a',
    'vault:a/b/c',
    'file:',
  ]) {
    const reply = await reveal(ref);
    assert.is(!reply.ok && reply.code, 'invalid_ref', ref);
    assert.not.ok(!reply.ok && reply.message.includes('hunter2'));
    assert.not.ok(!reply.ok && reply.message.includes(SECRET));
  }
});

test('what was put is revealed again, also by a vault that starts later with the same key', async () => {
  const first = await openVault();
  assert.equal(await first.put('vault:webhook/orders', SECRET), { ok: true, reason: '' });
  assert.equal(await first.reveal('vault:webhook/orders'), { ok: true, secret: SECRET });
  const second = await openVault({ store: first.store, deps: first.deps });
  assert.equal(await second.reveal('vault:webhook/orders'), { ok: true, secret: SECRET });
});

test('a put does not replace unless told to', async () => {
  const { put, reveal } = await openVault();
  await put('vault:a/b', 'one');
  assert.equal(await put('vault:a/b', 'two'), { ok: false, reason: 'already_exists' });
  assert.equal(await put('vault:a/b', 'three', true), { ok: true, reason: '' });
  assert.equal(await reveal('vault:a/b'), { ok: true, secret: 'three' });
});

test('neither the row nor the fact of a put holds the secret', async () => {
  const { put, commits } = await openVault();
  await put('vault:a/b', SECRET);
  const [changes] = commits;
  assert.ok(changes);
  const written = Buffer.concat([
    Buffer.from(JSON.stringify(changes)),
    ...changes.put.flatMap(({ row }) =>
      Object.values(row).filter((value) => value instanceof Uint8Array),
    ),
  ]);
  for (const part of [SECRET, SECRET.slice(6), Buffer.from(SECRET).toString('base64')]) {
    assert.not.ok(written.includes(part));
  }
  assert.equal(changes.facts[0]?.ref, 'vault:a/b');
});

test('another master key makes rows unreadable and says so, but keeps nobody from the rest', async () => {
  const first = await openVault();
  await first.put('vault:a/b', SECRET);
  const second = await openVault({ store: first.store });
  const reply = await second.reveal('vault:a/b');
  assert.is(!reply.ok && reply.code, 'unreadable');
  assert.match(!reply.ok ? reply.message : '', /sealed with key/);
  assert.equal(await second.reveal('env:HAS'), { ok: true, secret: 'from-env' });
});

/** As a machine without the key's file: it says which calls would have made one. */
function noKey() {
  const calls: boolean[] = [];
  const masterKey = async (make: boolean) => {
    calls.push(make);
    return make ? randomBytes(32) : undefined;
  };
  return { calls, masterKey };
}

test('a key is made for a store without sealed secrets, and never beside them', async () => {
  const fresh = noKey();
  const first = await openVault({ deps: { masterKey: fresh.masterKey } });
  assert.equal(fresh.calls, [false, true]);
  assert.equal(await first.put('vault:a/b', SECRET), { ok: true, reason: '' });
  const lost = noKey();
  const { store } = first;
  const start = openVault({ store, deps: { masterKey: lost.masterKey } });
  assert.is(await rejectionCode(start), 'vault_key_missing');
  assert.equal(lost.calls, [false]);
});

test('a vault that could not ask at its start makes no key beside sealed secrets later', async () => {
  const { store } = await openVault().then(async (vault) => {
    await vault.put('vault:a/b', SECRET);
    return vault;
  });
  const { keys } = store;
  store.keys = () => {
    throw Object.assign(new Error('the line is full'), { code: 'busy' });
  };
  const { calls, masterKey } = noKey();
  const { put, reveal } = await openVault({ store, deps: { masterKey } });
  store.keys = keys;
  assert.equal(await put('vault:c/d', SECRET), { ok: false, reason: 'vault_key_missing' });
  const reply = await reveal('vault:a/b');
  assert.match(!reply.ok ? reply.message : '', /vault_key_missing/);
  assert.not.ok(calls.includes(true));
});

test('a vault key that cannot be read fails puts, not the vault', async () => {
  const denied = async () => {
    throw Object.assign(new Error('no'), { code: 'EACCES' });
  };
  const { put, reveal } = await openVault({ deps: { masterKey: denied } });
  assert.equal(await put('vault:a/b', SECRET), { ok: false, reason: 'EACCES' });
  assert.equal(await reveal('env:HAS'), { ok: true, secret: 'from-env' });
});

test('a row moved to another reference does not open', async () => {
  const { put, store, reveal } = await openVault();
  await put('vault:a/b', SECRET);
  const stored = store.read('secrets', 'a/b');
  assert.ok(stored);
  const stolen = [{ table: 'secrets', key: 'mine/now', row: stored.row }];
  await store.commit([{ expect: [], put: stolen, remove: [], facts: [] }], 1);
  const reply = await reveal('vault:mine/now');
  assert.is(!reply.ok && reply.code, 'unreadable');
});

test('generated secrets have at least 128 bits and never come twice', async () => {
  const { kit } = await openVault();
  const make = (bytes: number) => (kit.receive('generate', { bytes }) as { secret: string }).secret;
  assert.is(Buffer.from(make(32), 'base64').length, 32);
  assert.is(Buffer.from(make(1), 'base64').length, 16);
  assert.is(new Set(Array.from({ length: 100 }, () => make(16))).size, 100);
});

test(`any sealed text opens again, and no changed bit of it does (seed ${SEED})`, async () => {
  const key = toMasterKey(randomBytes(32));
  assert.ok(key);
  const sealed = fc.record({
    secret: fc.string({ unit: 'grapheme', maxLength: 200 }),
    part: fc.constantFrom('nonce', 'sealed', 'tag'),
    bit: fc.nat(),
  });
  await fc.assert(
    fc.property(sealed, ({ secret, part, bit }) => {
      const box = seal(key, 'vault:a/b', secret, randomBytes(12));
      if (unseal(key, 'vault:a/b', box) !== Buffer.from(secret).toString()) return false;
      if (unseal(key, 'vault:a/c', box) !== undefined) return false;
      const changed = Uint8Array.from(box[part as 'nonce']);
      const at = bit % (changed.length * 8);
      changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
      return unseal(key, 'vault:a/b', { ...box, [part]: changed }) === undefined;
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test(`what is sealed shows neither the text nor, within 60 bytes, its length (seed ${SEED})`, async () => {
  const key = toMasterKey(randomBytes(32));
  assert.ok(key);
  await fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9]{8,60}$/), (secret) => {
      const box = seal(key, 'vault:a/b', secret, randomBytes(12));
      const again = seal(key, 'vault:a/b', secret, randomBytes(12));
      const isHidden = !Buffer.from(box.sealed).includes(secret.slice(0, 8));
      return isHidden && box.sealed.length === 64 && !Buffer.from(box.sealed).equals(again.sealed);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test('a broken row is unreadable, not a crash', async () => {
  const { put, store, reveal } = await openVault();
  await put('vault:a/b', SECRET);
  const row = store.read('secrets', 'a/b')?.row as SecretRow;
  const broken = { ...row, tag: new Uint8Array(3), nonce: new Uint8Array(0) };
  const changed = [{ table: 'secrets', key: 'a/b', row: broken }];
  await store.commit([{ expect: [], put: changed, remove: [], facts: [] }], 1);
  const reply = await reveal('vault:a/b');
  assert.is(!reply.ok && reply.code, 'unreadable');
});

test('references are read strictly', () => {
  assert.equal(parseSecretRef('vault:webhook/a.b_c-1'), {
    source: 'vault',
    key: 'webhook/a.b_c-1',
  });
  assert.equal(parseSecretRef('file:relative/path:with colon'), {
    source: 'file',
    path: 'relative/path:with colon',
  });
  for (const text of ['', ':', 'env', 'ENV:A', 'env:1A', 'file:a\0b', 'vault:/x', 'vault:x/']) {
    assert.is(parseSecretRef(text), undefined, text);
  }
});

test.run();
