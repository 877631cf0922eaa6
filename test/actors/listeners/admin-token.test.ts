/** The admin token: found or made, valid as long as it stands at its place, and in its file where the gateway made it. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf, findToken, principalOf } from '../../../actors/listeners/admin-token.ts';
import { AskError } from '../../../runtime/errors.ts';
import { ARGS, open, ordinary } from './open-listener.ts';

const test = suite('admin token');

test('a token that the vault gives late is published when it comes, once', async () => {
  let isThere = false;
  const { kit, ports, seen } = await open((to, kind) => {
    if (kind === 'reveal' && !isThere) throw new AskError('ask_timeout', to, kind);
    return ordinary(to, kind);
  });
  assert.equal(seen.published, []);
  assert.is(ports.authenticate('the-token'), 'unavailable');
  isThere = true;
  for (let minute = 0; minute < 3; minute += 1) {
    await kit.advance(60_000);
    await kit.settle();
  }
  assert.ok(ports.authenticate('the-token'));
  assert.equal(seen.published, ['the-token']);
});

test('a token that is put is valid at once, the one before is not, and its file follows', async () => {
  let secret = 'the-token';
  const { kit, ports, seen } = await open((to, kind) => {
    if (kind === 'reveal') return { ok: true, secret };
    return kind === 'call' ? { ok: true, output: {} } : ordinary(to, kind);
  });
  secret = 'the-new-one';
  const call = (operation: string) => {
    const principal = { name: 'a', scopes: [] };
    const request = { operation, input: {}, principal, idempotencyKey: '', trace: '' };
    return ports.call(request, new AbortController().signal);
  };
  await call('vault.list');
  assert.ok(ports.authenticate('the-token'));
  await call('vault.put');
  assert.ok(ports.authenticate('the-new-one'));
  assert.is(ports.authenticate('the-token'), 'nobody');
  assert.equal(seen.published, ['the-token', 'the-new-one']);
  secret = 'put-by-the-host';
  assert.equal(await kit.receive('refreshToken', null), { known: true });
  assert.ok(ports.authenticate('put-by-the-host'));
});

test('a token that no request can carry is valid for nobody, logged without it and not published', async () => {
  for (const secret of ['', 'hidden one', 'hidden\n', 'hiddén', 'h'.repeat(4_097)]) {
    const { ports, seen } = await open((to, kind) =>
      kind === 'reveal' ? { ok: true, secret } : ordinary(to, kind),
    );
    assert.is(ports.authenticate(secret), 'unavailable');
    assert.equal(seen.published, []);
    const told = seen.logged.filter((line) => line.includes('the admin token is unusable'));
    assert.is(told.length, 1, seen.logged.join('\n'));
    assert.not.ok(seen.logged.some((line) => line.includes('hid')));
  }
});

test('a token that changed at its place is published, and again until it is written', async () => {
  let secret = 'the-token';
  const { kit, ports, seen } = await open((to, kind) =>
    kind === 'reveal' ? { ok: true, secret } : ordinary(to, kind),
  );
  const passMinute = async () => {
    await kit.advance(60_000);
    await kit.settle();
  };
  secret = 'another';
  seen.publishFails = 1;
  await passMinute();
  assert.ok(ports.authenticate('another'));
  assert.equal(seen.published, ['the-token']);
  await passMinute();
  await passMinute();
  assert.equal(seen.published, ['the-token', 'another']);
});

test('a token is made once where there is none, and only where it may be made', async () => {
  const kept = new Map<string, string>();
  const self = {
    ask: async (_ref: unknown, kind: string, payload: unknown) => {
      const { ref = '', secret = '' } = payload as { ref?: string; secret?: string };
      if (kind === 'generate') return { secret: Buffer.from('0123456789').toString('base64') };
      if (kind === 'put') {
        kept.set(ref, secret);
        return { ok: true, reason: '' };
      }
      const found = kept.get(ref);
      return found === undefined
        ? { ok: false, code: 'missing', message: '' }
        : { ok: true, secret: found };
    },
  } as never;
  const first = await findToken(ARGS, self);
  assert.ok(first.ok && /^[\w-]+$/.test(first.secret));
  assert.equal(await findToken(ARGS, self), first);
  const given = await findToken({ ...ARGS, tokenRef: 'env:X', makesToken: false }, self);
  assert.is(given.ok, false);
});

test('an empty, a wrong and a huge token belong to nobody', () => {
  const expected = digestOf('right');
  assert.ok(principalOf(expected, 'right'));
  for (const wrong of ['', 'wrong', 'right'.repeat(10_000)]) {
    assert.is(principalOf(expected, wrong), undefined);
  }
});

test.run();
