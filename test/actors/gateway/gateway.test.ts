/** The root by hand: its status from parts that answer or do not, and the phases of its drain. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type GatewayArgs, gatewayActor } from '../../../actors/gateway/actor.ts';
import { operations } from '../../../proto/control/catalogue.ts';
import type { OperationReply } from '../../../proto/control/owner.ts';
import { AskError } from '../../../runtime/errors.ts';
import type { ActorSnapshot } from '../../../runtime/system.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';

const ref = (address: string) => ({ address });

const ARGS: GatewayArgs = {
  children: [],
  version: '1.2.3',
  modelProvider: 'echo',
  status: {
    ledger: ref('ledger'),
    router: ref('router'),
    outbox: ref('outbox'),
    channels: ref('channels'),
    webhooks: ref('webhooks'),
  },
  drained: {
    listener: ref('http'),
    channels: ref('channels'),
    sessions: ref('sessions'),
    outbox: ref('outbox'),
    unreadyMs: 250,
  },
};

const HEALTH = {
  freeBytes: Number.POSITIVE_INFINITY,
  usedBytes: 2,
  reusableBytes: 0,
  flushes: 3,
  commits: 4,
  journalSequence: 5,
  revision: 6,
  admitting: true,
  pending: 0,
  commitAgeMs: 0,
};

const COUNTER = {
  name: 'palyra_router_decisions_total',
  help: '',
  type: 'counter',
  samples: [{ labels: { outcome: 'accepted' }, value: 7 }],
};

const actor = (path: string, state: ActorSnapshot['state']): ActorSnapshot => ({
  path,
  thread: 'main',
  state,
  incarnation: 1,
  restarts: 0,
  mailbox: 0,
  handlingMs: 0,
  lastError: '',
});

interface World {
  admitting?: boolean;
  silent?: string;
  actors?: ActorSnapshot[];
  runs?: () => number;
  due?: () => number;
  closesAtMs?: (nowMs: number) => void;
}

async function open(world: World = {}, unreadyMs = 250) {
  const asked: string[] = [];
  let passTime = async (_ms: number): Promise<void> => undefined;
  const kit = await createBehaviorKit(
    gatewayActor,
    { ...ARGS, drained: { ...ARGS.drained, unreadyMs } },
    {
      pid: 42,
      httpUrl: () => 'http://127.0.0.1:1',
      inspect: async () => ({ actors: world.actors ?? [], threads: [], counters: {} }),
      sleep: (ms: number) => passTime(ms),
      log: () => undefined,
    },
    {
      answer(to, kind) {
        asked.push(`${to}.${kind}`);
        if (kind === 'stopListening') world.closesAtMs?.(kit.self.clock.monotonicMs());
        if (to === world.silent) throw new AskError('ask_timeout', to, kind);
        if (kind === 'health') return { ...HEALTH, admitting: world.admitting ?? true };
        if (kind === 'metrics') return to === 'router' ? [COUNTER] : [];
        if (kind === 'operate') return { ok: true, output: { connectors: [], webhooks: [] } };
        if (kind === 'open') return { runs: world.runs?.() ?? 0 };
        if (kind === 'due') return { deliveries: world.due?.() ?? 0 };
        return { stopped: 1 };
      },
    },
  );
  passTime = (ms) => kit.advance(ms);
  const status = async () => {
    const reply = (await kit.receive('operate', {
      operation: 'status.get',
      input: {},
      principal: 'admin',
    })) as OperationReply;
    if (!reply.ok) throw new Error(reply.error.code);
    return operations['status.get'].output.parse(reply.output);
  };
  return { kit, status, asked };
}

const gateway = suite('gateway');

gateway('status is put together from its parts and fits the catalogue', async () => {
  const { status } = await open({ actors: [actor('palyra/gateway', 'running')] });
  const shown = await status();
  assert.is(shown.state, 'running');
  assert.is(shown.version, '1.2.3');
  assert.is(shown.pid, 42);
  assert.is(shown.http, 'http://127.0.0.1:1');
  assert.is(shown.store.journal_sequence, 5);
  assert.equal(shown.counters, { 'router_decisions_total.accepted': 7 });
});

gateway('a part that does not answer is shown, and the others are shown too', async () => {
  for (const silent of ['ledger', 'channels', 'webhooks', 'router', 'outbox']) {
    const { status } = await open({ silent });
    const shown = await status();
    assert.is(shown.state, 'degraded');
    assert.equal(
      shown.components.map(({ path, state }) => [path, state]),
      [[silent, 'silent']],
    );
  }
});

gateway(
  'a degraded supervisor makes the gateway degraded; conversations are not listed',
  async () => {
    const { status } = await open({
      actors: [
        actor('palyra/gateway/services/field', 'degraded'),
        actor('palyra/gateway/services/domain/sessions/channel:x', 'degraded'),
      ],
    });
    const shown = await status();
    assert.is(shown.state, 'degraded');
    assert.equal(
      shown.components.map(({ path }) => path),
      ['palyra/gateway/services/field'],
    );
  },
);

gateway('a gateway that admits nothing is degraded', async () => {
  const { status } = await open({ admitting: false });
  assert.is((await status()).state, 'degraded');
});

gateway('another operation is not answered', async () => {
  const { kit } = await open();
  const reply = kit.receive('operate', { operation: 'runs.get', input: {}, principal: 'x' });
  assert.is((reply as { error: { code: string } }).error.code, 'not_found');
});

gateway('the drain stops receiving, then waits for runs, then for what is due', async () => {
  let runs = 3;
  let due = 2;
  const { kit, asked, status } = await open({ runs: () => runs--, due: () => due-- });
  const report = kit.receive('drain', { deadlineMs: 18_000 });
  assert.is((await status()).state, 'stopping');
  assert.equal(await report, { clean: true, left: [] });
  const order = asked.filter((name) => /stop|open|due/.test(name));
  assert.equal(
    [...new Set(order)],
    ['http.stopListening', 'channels.stopReceiving', 'sessions.open', 'outbox.due'],
  );
});

gateway(
  'the port closes when it was unready for its time, at most half of the drain’s',
  async () => {
    for (const [unreadyMs, deadlineMs, expectedMs] of [
      [250, 18_000, 250],
      [0, 18_000, 0],
      [60_000, 18_000, 9_000],
    ] as const) {
      let closedAtMs = 0;
      const { kit, asked } = await open({ closesAtMs: (nowMs) => (closedAtMs = nowMs) }, unreadyMs);
      const beganMs = kit.self.clock.monotonicMs();
      assert.equal(await kit.receive('drain', { deadlineMs }), { clean: true, left: [] });
      assert.is(closedAtMs - beganMs, expectedMs);
      const ofHttp = asked.filter((name) => name.startsWith('http.'));
      assert.equal(ofHttp, [...(unreadyMs > 0 ? ['http.turnUnready'] : []), 'http.stopListening']);
    }
  },
);

gateway('a listener that is silent is not waited for', async () => {
  const { kit } = await open({ silent: 'http' }, 60_000);
  const beganMs = kit.self.clock.monotonicMs();
  const report = (await kit.receive('drain', { deadlineMs: 18_000 })) as { left: string[] };
  assert.equal(report.left, ['listener: ask_timeout']);
  assert.is(kit.self.clock.monotonicMs(), beganMs);
});

gateway('a drain that cannot finish says what is left, within its deadlines', async () => {
  const { kit } = await open({ runs: () => 2, due: () => 1 });
  const beganMs = kit.self.clock.monotonicMs();
  const report = await kit.receive('drain', { deadlineMs: 22_000 });
  assert.equal(report, { clean: false, left: ['2 runs', '1 deliveries'] });
  const tookMs = kit.self.clock.monotonicMs() - beganMs;
  assert.ok(tookMs >= 18_000 && tookMs < 18_500, `took ${tookMs}`);
});

gateway('a short deadline shortens every phase, and a silent part does not hold it', async () => {
  const { kit } = await open({ silent: 'sessions', due: () => 1 });
  const beganMs = kit.self.clock.monotonicMs();
  const report = (await kit.receive('drain', { deadlineMs: 300 })) as { left: string[] };
  assert.equal(report.left, ['runs: ask_timeout', '1 deliveries']);
  assert.ok(kit.self.clock.monotonicMs() - beganMs <= 400);
});

gateway('draining twice is once', async () => {
  const { kit, asked } = await open();
  const first = kit.receive('drain', { deadlineMs: 1_000 });
  const second = kit.receive('drain', { deadlineMs: 1_000 });
  assert.equal(await first, await second);
  assert.is(asked.filter((name) => name === 'http.stopListening').length, 1);
});

gateway('a store that failed is not answered by a restart', () => {
  const supervision = gatewayActor.supervise?.(ARGS);
  assert.is(supervision?.strategy, 'rest_for_one');
  const verdictOn = (code: string) =>
    supervision?.decide?.({
      id: 'ledger',
      ref: { address: 'palyra/gateway/ledger#1' },
      incarnation: 1,
      cause: { kind: 'crashed', code },
    });
  assert.is(verdictOn('store_failed'), 'escalate');
  assert.is(verdictOn('anything_else'), 'restart');
});

gateway.run();
