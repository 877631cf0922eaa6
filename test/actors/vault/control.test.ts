/** The vault's operations: what each gives, what a refusal means, and that no secret is in an answer. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { metrics, operate, type VaultPowers } from '../../../actors/vault/control.ts';
import { type OperationName, operations } from '../../../proto/control/catalogue.ts';

const test = suite('vault: operations');
const SECRET = 'a secret of its user';

async function call(operation: OperationName, input: object, powers: Partial<VaultPowers> = {}) {
  const parsed = operations[operation].input.parse(input);
  const vault: VaultPowers = {
    put: async () => ({ ok: true, reason: '' }),
    keys: async () => ({ keys: [], next: '' }),
    ...powers,
  };
  const reply = await operate({ operation, input: parsed, principal: 'test' }, vault);
  assert.not.match(JSON.stringify(reply), SECRET);
  if (reply.ok) operations[operation].output.parse(reply.output);
  return reply;
}

const put = (powers: Partial<VaultPowers> = {}) =>
  call('vault.put', { scope: 'telegram', key: 'token', secret: SECRET }, powers);

test('a secret is put under its reference', async () => {
  const seen: unknown[] = [];
  const reply = await put({
    async put(...given) {
      seen.push(given);
      return { ok: true, reason: '' };
    },
  });
  assert.equal(seen, [['vault:telegram/token', SECRET]]);
  assert.equal(reply, { ok: true, output: { ref: 'vault:telegram/token' } });
});

test('what keeps a secret out has a code of its own', async () => {
  const codes: Readonly<Record<string, string>> = {
    invalid_secret: 'validation_error',
    conflict: 'revision_conflict',
    busy: 'busy',
    storage_low: 'storage_low',
    ask_timeout: 'deadline_exceeded',
    actor_dead: 'unavailable',
    mailbox_full: 'unavailable',
    vault_key_missing: 'failed_precondition',
    EACCES: 'failed_precondition',
  };
  for (const [reason, code] of Object.entries(codes)) {
    const reply = await put({ put: async () => ({ ok: false, reason }) });
    assert.is(!reply.ok && reply.error.code, code, reason);
  }
});

test('the list has references, page by page', async () => {
  const asked: unknown[] = [];
  const keys: VaultPowers['keys'] = async (...given) => {
    asked.push(given);
    return { keys: ['a/b', 'c/d'], next: 'c/d' };
  };
  const first = await call('vault.list', { limit: 2 }, { keys });
  assert.equal(first.ok && first.output, { refs: ['vault:a/b', 'vault:c/d'], next: 'vault:c/d' });
  await call('vault.list', { after: 'vault:c/d', limit: 2 }, { keys });
  assert.equal(asked, [
    ['', 2],
    ['c/d', 2],
  ]);
  const none = await call('vault.list', {}, { keys: () => Promise.reject(new Error('no')) });
  assert.is(!none.ok && none.error.code, 'unavailable');
});

test('metrics name no secret file', () => {
  for (const { name, samples } of metrics({ reading: 1, asked: 2 })) {
    assert.match(name, /^palyra_vault_[a-z_]+$/);
    assert.equal(samples[0]?.labels, {});
  }
});

test.run();
