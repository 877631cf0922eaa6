/** What the log says of an account: why it is down, that it is back, without its credential and without a flood. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ATTEMPT, type Line, open, opened } from './connector-world.ts';

const test = suite('the log of an account’s health');

const short = ({ level, message, readiness, liveness, reason }: Line) =>
  `${level}: ${message}: ${readiness} ${liveness} ${reason}`;

test('why an account does not come up is said once, with the errors behind it and without the credential', async () => {
  let tries = 0;
  const { kit, lines } = await open({
    open: async () => {
      tries += 1;
      if (tries > 2) return;
      const cause = new Error('getaddrinfo ENOTFOUND nope.invalid');
      const url = 'https://nope.invalid/?key=secret-token';
      throw Object.assign(new Error(`fetch of ${url} failed`, { cause }), { code: 'ENOTFOUND' });
    },
  });
  await kit.settle();
  const [{ retryInMs, ...line }] = lines.splice(0, 1) as [Line];
  assert.ok(Number(retryInMs) > 0);
  assert.equal(line, {
    level: 'warn',
    message: 'account is not up',
    connector: 'scripted:main',
    readiness: 'ready',
    liveness: 'degraded',
    reason: 'ENOTFOUND',
    detail: 'fetch of https://nope.invalid/?key=<token> failed: getaddrinfo ENOTFOUND nope.invalid',
  });
  await kit.advance(1_000);
  await kit.settle();
  assert.is(tries, 2);
  assert.equal(lines, [], 'the same again is no change');
  await kit.advance(2_000);
  await kit.settle();
  assert.equal(lines.map(short), ['info: account is up: ready running ']);
  assert.is('detail' in (lines[0] ?? {}), false);
});

test('wrong options and a missing credential are said with what is wrong', async () => {
  const invalid = await open({
    checkOptions() {
      throw Object.assign(new Error('port: expected a number'), { code: 'invalid_options' });
    },
  });
  await invalid.kit.settle();
  assert.equal(invalid.lines.map(short), [
    'warn: account is not up: misconfigured stopped invalid_options',
  ]);
  assert.is(invalid.lines[0]?.detail, 'port: expected a number');
  const missing = { ok: false, code: 'missing', message: 'env:TOKEN is not set' };
  const without = await open({}, { answer: (to) => (to === 'vault' ? missing : undefined) });
  await without.kit.settle();
  assert.is(without.lines[0]?.detail, 'env:TOKEN is not set');
});

test('what a connector observes of itself is said when it changes, and when it is back', async () => {
  const { kit, lines, ports, status } = await opened();
  lines.splice(0);
  await kit.advance(1_000);
  const reason = 'proxy refuses ?key=secret-token';
  ports.health({ readiness: 'ready', liveness: 'degraded', reason });
  ports.health({ readiness: 'ready', liveness: 'degraded', reason });
  assert.is(status().reason, 'proxy refuses ?key=<token>');
  await kit.advance(1_000);
  ports.health({ readiness: 'auth_failed', liveness: 'stopped', reason: 'revoked' });
  await kit.advance(1_000);
  ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
  assert.equal(lines.map(short), [
    'warn: account is not up: ready degraded proxy refuses ?key=<token>',
    'warn: account is not up: auth_failed stopped revoked',
    'info: account is up: ready running ',
  ]);
  await kit.advance(5_000);
  assert.is(lines.length, 3);
});

test('an account that flaps has one line a second, with the number of its changes', async () => {
  const { kit, lines, ports } = await opened();
  await kit.advance(1_000);
  lines.splice(0);
  const flap = () => {
    ports.health({ readiness: 'ready', liveness: 'degraded', reason: 'reset' });
    ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
  };
  for (let n = 0; n < 50; n += 1) flap();
  assert.is(lines.length, 1, 'the first change is said at once');
  await kit.advance(1_000);
  for (let n = 0; n < 50; n += 1) flap();
  await kit.advance(1_000);
  assert.equal(
    lines.map(({ level, changes }) => [level, changes]),
    [
      ['warn', undefined],
      ['info', 99],
      ['info', 100],
    ],
  );
  await kit.advance(10_000);
  assert.is(lines.length, 3);
});

test('a stop is no trouble of the account', async () => {
  const { kit, lines, ports } = await opened();
  await kit.advance(1_000);
  lines.splice(0);
  const stopping = kit.receive('stopReceiving', null);
  ports.health({ readiness: 'ready', liveness: 'stopped', reason: 'stopped receiving' });
  await kit.settle();
  await stopping;
  await kit.advance(1_000);
  assert.equal(lines, []);
});

test('why a send has no outcome is in the log, without the credential', async () => {
  for (const [deliver, code, detail] of [
    [async () => ({ type: 'delivered' }) as never, 'bad_outcome', /nativeMessageId/],
    [
      async () => Promise.reject(Object.assign(new Error('secret-token?'), { code: 'ODD' })),
      'ODD',
      /^<token>\?$/,
    ],
  ] as const) {
    const { kit, lines } = await opened({ deliver });
    lines.splice(0);
    kit.receive('deliver', ATTEMPT);
    await kit.settle();
    const [line, ...others] = lines;
    assert.equal(others, []);
    assert.equal([line?.level, line?.code, line?.deliveryId], ['warn', code, 'D:0001']);
    assert.match(String(line?.detail), detail);
  }
});

test.run();
