/** A gateway inside the test's own process: it starts, answers calls, stops, and says why it ended. */
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ConfigError } from '../../cli/config/config-error.ts';
import { demoConfig } from '../../cli/config/demo.ts';
import {
  createGateway,
  type GatewayHandle,
  type GatewayOptions,
  PalyraError,
} from '../../cli/gateway.ts';
import { AskError, codeOf } from '../../runtime/errors.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { until, within } from '../support/within.ts';

const CONFIG = demoConfig().listeningOn({ host: '127.0.0.1', port: 0 });

async function withGateways(
  work: (
    start: (options?: Partial<GatewayOptions>) => GatewayHandle,
    stateRoot: string,
  ) => Promise<void>,
): Promise<void> {
  const started: GatewayHandle[] = [];
  await withStateRoot((stateRoot) =>
    work((options = {}) => {
      const gateway = createGateway({ config: CONFIG, stateRoot, threads: 1, ...options });
      started.push(gateway);
      return gateway;
    }, stateRoot).finally(() =>
      Promise.all(
        started.map((gateway) => within('the stop', gateway.stop({ deadlineMs: 8_000 }), 10_000)),
      ),
    ),
  );
}

const ready = (gateway: GatewayHandle) => within('ready', gateway.ready, 15_000);
const ended = (gateway: GatewayHandle) => within('ended', gateway.ended, 15_000);

const embedded = suite('embedded gateway');

embedded('it serves, takes calls without HTTP, and ends with 0 when it is stopped', () =>
  withGateways(async (start, stateRoot) => {
    const gateway = start();
    const { http } = await ready(gateway);
    assert.is((await fetch(`${http}/readyz`)).status, 200);
    // Until its connectors are open it is degraded.
    await until('all of it runs', async () => {
      return (await gateway.call('status.get', {})).state === 'running';
    });
    assert.is((await gateway.call('status.get', {})).http, http);
    const input = { connector_id: 'echo:default', text: 'from the host' };
    const test = await gateway.call('channels.test', input);
    assert.is(test.accepted, true);
    await until('the reply is delivered', async () => {
      const shown = await gateway.call('channels.get', { connector_id: 'echo:default' });
      return shown.deliveries.some((delivery) => delivery.status === 'delivered');
    });
    for (const file of ['admin.token', 'vault.key']) {
      assert.is(statSync(join(stateRoot, file)).mode & 0o777, 0o600);
    }
    await within('stop', gateway.stop(), 10_000);
    assert.equal(await ended(gateway), { code: 0, cause: 'stopped' });
    assert.is(
      await fetch(`${http}/readyz`).then(
        () => 'answered',
        () => 'closed',
      ),
      'closed',
    );
  }),
);

embedded('a dead letter is replayed over HTTP and dies again; the journal says both', () =>
  withGateways(async (start, stateRoot) => {
    const gateway = start();
    const { http } = await ready(gateway);
    const account = { connector_id: 'echo:default' };
    await gateway.call('channels.test', { ...account, text: '[permanent]' });
    const dead = async () => (await gateway.call('channels.get', account)).dead_letters[0];
    await until('the reply is dead', async () => (await dead()) !== undefined);
    const first = await dead();
    const token = readFileSync(join(stateRoot, 'admin.token'), 'utf8').trim();
    const post = (verb: string) =>
      fetch(`${http}/admin/v1/channels/echo:default/deliveries/${first?.delivery_id}/${verb}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
    assert.is((await post('discard')).status, 409);
    const reply = await post('replay');
    assert.equal(await reply.json(), {
      delivery_id: first?.delivery_id,
      status: 'queued',
      changed: true,
    });
    await until('it is dead again', async () => {
      const again = await dead();
      return again !== undefined && again.updated_at_ms > (first?.updated_at_ms ?? 0);
    });
    const subject = first?.delivery_id ?? '';
    const { entries } = await gateway.call('journal.read', { subject, limit: 500 });
    const types = entries.flatMap(({ facts }) => facts.map(({ type }) => type));
    assert.equal(
      types.filter((type) => type === 'delivery.dead' || type === 'delivery.replayed'),
      ['delivery.dead', 'delivery.replayed', 'delivery.dead'],
    );
  }),
);

embedded('a call that fails rejects with the operation’s code', () =>
  withGateways(async (start) => {
    const gateway = start();
    assert.is(await rejection(gateway.call('status.get', {})), 'unavailable');
    await ready(gateway);
    const missing = gateway.call('channels.get', { connector_id: 'echo:none' });
    assert.is(await rejection(missing), 'not_found');
    // @ts-expect-error: an operation's required fields are required
    const empty = gateway.call('channels.test', {});
    assert.is(await rejection(empty), 'validation_error');
    await within('stop', gateway.stop(), 10_000);
    const late: unknown = await gateway.call('status.get', {}).catch((error: unknown) => error);
    assert.instance(late, PalyraError);
    assert.is(codeOf(late), 'unavailable');
    assert.instance((late as PalyraError).cause, AskError);
  }),
);

embedded(
  'a stop is unready for its time and serves on, and ends by its deadline all the same',
  () =>
    withGateways(async (start) => {
      const gateway = start({ config: { http: { listen: '127.0.0.1:0', unready_ms: 60_000 } } });
      const { http } = await ready(gateway);
      const statusOf = async (path: string) => (await fetch(`${http}${path}`)).status;
      const stopped = gateway.stop();
      await until('it is unready', async () => (await statusOf('/readyz')) === 503);
      assert.is(await statusOf('/livez'), 200);
      assert.is(await statusOf('/admin/v1/status'), 401);
      await within('it stops', stopped, 30_000);
      assert.is((await ended(gateway)).code, 0);
    }),
);

embedded(
  'an admin token that the host puts is valid when the call has ended, and in its file',
  () =>
    withGateways(async (start, stateRoot) => {
      const gateway = start();
      const { http } = await ready(gateway);
      const token = () => readFileSync(join(stateRoot, 'admin.token'), 'utf8').trim();
      const status = async (bearer: string) => {
        const headers = { authorization: `Bearer ${bearer}` };
        return (await fetch(`${http}/admin/v1/status`, { headers })).status;
      };
      const before = token();
      await gateway.call('vault.put', { scope: 'admin', key: 'token', secret: 'another' });
      assert.is(token(), 'another');
      assert.equal([await status(before), await status('another')], [401, 200]);
    }),
);

embedded('two gateways live in one process, each on its own state root', () =>
  withGateways(async (start) => {
    await withGateways(async (startOther) => {
      const [one, other] = [start(), startOther()];
      const [a, b] = await Promise.all([ready(one), ready(other)]);
      assert.is.not(a.http, b.http);
      await within('stop', one.stop(), 10_000);
      assert.is((await fetch(`${b.http}/readyz`)).status, 200);
    });
  }),
);

embedded('a second one on the same state root ends with 4 and leaves the first alone', () =>
  withGateways(async (start) => {
    const first = start();
    const { http } = await ready(first);
    const second = start();
    assert.is(await rejection(second.ready), 'store_locked');
    assert.is((await ended(second)).code, 4);
    assert.is((await fetch(`${http}/readyz`)).status, 200);
  }),
);

embedded('a store that is no store is refused with 1, and nothing is changed', () =>
  withGateways(async (start, stateRoot) => {
    const first = start();
    await ready(first);
    await within('stop', first.stop(), 10_000);
    const file = join(stateRoot, 'store', 'data.mdb');
    assert.ok(existsSync(file));
    writeFileSync(file, 'this is no database');
    const second = start();
    assert.is(await rejection(second.ready), 'store_corrupt');
    assert.is((await ended(second)).code, 1);
    assert.is(statSync(file).size, 'this is no database'.length);
  }),
);

embedded('a taken port is an error of the start, with its code', () =>
  withGateways(async (start) => {
    const first = start();
    const { http } = await ready(first);
    await withGateways(async (startOther) => {
      const port = Number(new URL(http).port);
      const config = CONFIG.listeningOn({ host: '127.0.0.1', port });
      const second = startOther({ config });
      assert.is(await rejection(second.ready), 'address_in_use');
      assert.is((await ended(second)).code, 4);
    });
  }),
);

embedded('an address beyond this machine is refused before anything is made', () =>
  withGateways(async (start, stateRoot) => {
    for (const host of ['0.0.0.0', '::', '192.168.1.4']) {
      const below = join(stateRoot, 'unmade');
      const gateway = start({ config: CONFIG.listeningOn({ host, port: 0 }), stateRoot: below });
      assert.is(await rejection(gateway.ready), 'address_refused', host);
      assert.is((await ended(gateway)).code, 4);
      assert.not(existsSync(below));
    }
  }),
);

const OWN = {
  http: { listen: '127.0.0.1:0' },
  connectors: [{ id: 'echo:own', kind: 'echo' }],
};

embedded('a configuration is what a TOML file holds, or the path of one', () =>
  withGateways(async (start, stateRoot) => {
    const file = join(stateRoot, 'own.toml');
    writeFileSync(
      file,
      '[http]\nlisten = "127.0.0.1:0"\n[[connectors]]\nid = "echo:own"\nkind = "echo"\n',
    );
    for (const config of [OWN, file]) {
      const lines: string[] = [];
      const gateway = start({ config, log: (_level, message) => void lines.push(message) });
      await ready(gateway);
      const { connectors } = await gateway.call('channels.list', {});
      assert.equal(
        connectors.map(({ connector_id }) => connector_id),
        ['echo:own'],
      );
      assert.ok(lines.some((line) => line.includes('connectors[0].id: expected a rule')));
      await within('stop', gateway.stop(), 10_000);
    }
  }),
);

embedded(
  'a wrong configuration ends it with 2, every issue with its key, and nothing is made',
  () =>
    withGateways(async (start, stateRoot) => {
      const below = join(stateRoot, 'unmade');
      const wrong: readonly (readonly [unknown, readonly string[]])[] = [
        [{ conectors: [] }, ['conectors']],
        [
          { http: { listen: 7142 }, webhooks: [{ integration_id: 'x' }] },
          ['http.listen', 'webhooks[0].secret_refs'],
        ],
        [{ connectors: [{ id: 'mine:x', kind: 'mine' }] }, ['connectors[0].kind']],
        [null, ['']],
        [join(stateRoot, 'none.toml'), ['']],
      ];
      for (const [config, keys] of wrong) {
        const gateway = start({ config: config as never, stateRoot: below });
        const error = await within(
          'the refusal',
          gateway.ready.catch((caught: unknown) => caught),
          15_000,
        );
        assert.instance(error, ConfigError);
        assert.is(codeOf(error), 'config_invalid');
        if (config === null) assert.match((error as ConfigError).message, 'found null');
        assert.equal((error as ConfigError).issues.map(({ key }) => key).sort(), [...keys].sort());
        assert.is((await ended(gateway)).code, 2);
        assert.not(existsSync(below));
      }
    }),
);

embedded('a wrong option ends it with 2, names it, and nothing is made', () =>
  withGateways(async (start, stateRoot) => {
    const below = join(stateRoot, 'unmade');
    const gateway = start({ stateRoot: below, threads: 1.5 });
    const cause = 'invalid_options: threads: expected a whole number from 1 to 64; found 1.5';
    assert.equal(await ended(gateway), { code: 2, cause });
    assert.is(await rejection(gateway.ready), 'invalid_options');
    assert.not(existsSync(below));
  }),
);

embedded('a state root that others may enter is warned of, and a new one is its owner’s', () =>
  withGateways(async (start, stateRoot) => {
    const warned = async (root: string) => {
      const lines: string[] = [];
      const gateway = start({
        stateRoot: root,
        log: (_level, message) => void lines.push(message),
      });
      await ready(gateway);
      await within('stop', gateway.stop(), 10_000);
      return lines.some((line) => line.includes('other users may enter'));
    };
    chmodSync(stateRoot, 0o755);
    assert.is(await warned(stateRoot), true);
    chmodSync(stateRoot, 0o700);
    assert.is(await warned(stateRoot), false);
    const made = join(stateRoot, 'made');
    assert.is(await warned(made), false);
    assert.is(statSync(made).mode & 0o777, 0o700);
  }),
);

embedded('stopping while it starts ends it with 0', () =>
  withGateways(async (start) => {
    const gateway = start();
    await within('stop', gateway.stop({ deadlineMs: 10_000 }), 12_000);
    assert.is((await ended(gateway)).code, 0);
  }),
);

embedded('the admin token is made once and lives through a restart', () =>
  withGateways(async (start, stateRoot) => {
    const tokens: string[] = [];
    const { readFileSync } = await import('node:fs');
    for (let round = 0; round < 2; round += 1) {
      const gateway = start();
      const { http } = await ready(gateway);
      const token = readFileSync(join(stateRoot, 'admin.token'), 'utf8').trim();
      tokens.push(token);
      const headers = { authorization: `Bearer ${token}` };
      assert.is((await fetch(`${http}/admin/v1/status`, { headers })).status, 200);
      assert.is((await fetch(`${http}/admin/v1/status`)).status, 401);
      await within('stop', gateway.stop(), 10_000);
    }
    assert.is(tokens[0], tokens[1]);
  }),
);

embedded('a start tells the log once where the admin token stands, and never the token', () =>
  withGateways(async (start, stateRoot) => {
    const { readFileSync } = await import('node:fs');
    const file = join(stateRoot, 'admin.token');
    for (let round = 0; round < 2; round += 1) {
      const lines: string[] = [];
      const gateway = start({
        log: (level, message, fields) =>
          void lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
      });
      await ready(gateway);
      await within('stop', gateway.stop(), 10_000);
      const told = lines.filter((line) => line.startsWith('info ') && line.includes(file));
      assert.is(told.length, 1, lines.join('\n'));
      const token = readFileSync(file, 'utf8').trim();
      assert.not.ok(lines.some((line) => line.includes(token)));
    }
    const lines: string[] = [];
    process.env.PALYRA_TEST_TOKEN = 'given';
    const config = { ...OWN, admin: { token_ref: 'env:PALYRA_TEST_TOKEN' } };
    const gateway = start({ config, log: (_level, message) => void lines.push(message) });
    await ready(gateway);
    assert.not.ok(lines.some((line) => line.includes(file)));
  }),
);

embedded('log lines of all threads reach the host, of its level and above', () =>
  withGateways(async (start) => {
    const lines: { level: string; fields: Readonly<Record<string, unknown>> }[] = [];
    const gateway = start({
      log: (level, _message, fields = {}) => void lines.push({ level, fields }),
      logLevel: 'info',
    });
    await ready(gateway);
    await until('a line of a pool thread', () =>
      lines.some(({ fields }) => /^worker-\d+$/.test(String(fields.at))),
    );
    assert.not.ok(lines.some(({ level }) => level === 'debug'));
  }),
);

async function rejection(work: Promise<unknown>): Promise<string> {
  return within(
    'a rejection',
    work.then(
      () => 'settled',
      (error: unknown) => codeOf(error),
    ),
    15_000,
  );
}

embedded.run();
