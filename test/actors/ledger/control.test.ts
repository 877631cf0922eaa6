/** The ledger's operations: backups as jobs, retention, and how it starts. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { RetentionRule } from '../../../actors/ledger/rows.ts';
import { operations } from '../../../proto/control/catalogue.ts';
import type { OperationReply } from '../../../proto/control/owner.ts';
import { rejectionCode } from '../../../runtime/testing/behavior-kit.ts';
import { declared } from '../../support/declared.ts';
import { createHeldStore } from './held-store.ts';
import { openLedger } from './open-ledger.ts';

type Opened = Awaited<ReturnType<typeof openLedger>>;

const DAY_MS = 86_400_000;
const NOW_MS = 1_800_000_000_000;
const test = suite('ledger: operations');

async function call(opened: Opened, operation: keyof typeof operations, input: object) {
  const parsed = operations[operation].input.parse(input);
  const reply = opened.kit.receive('operate', { operation, input: parsed, principal: 'test' });
  return declared(operation, (await reply) as OperationReply);
}

test('a backup is a job: its row is durable before its id is told, and says how it ended', async () => {
  const opened = await openLedger();
  const created = await call(opened, 'backup.create', {});
  await opened.drain();
  assert.ok(created.ok);
  const { job_id } = created.output as { job_id: string };
  assert.equal(opened.store.backups, [`/backups/${job_id}`]);
  const job = await call(opened, 'jobs.get', { job_id });
  assert.ok(job.ok);
  const output = job.output as { status: string; detail: string };
  assert.is(output.status, 'done');
  assert.is(output.detail, `/backups/${job_id}`);
});

test('a backup that fails ends its job as failed with the code', async () => {
  const opened = await openLedger({
    deps: {
      prepareBackup: async () => {
        throw Object.assign(new Error('no'), { code: 'EACCES' });
      },
    },
  });
  const created = await call(opened, 'backup.create', {});
  await opened.drain();
  assert.ok(created.ok);
  const job = await call(opened, 'jobs.get', created.output as object);
  assert.ok(job.ok);
  assert.is((job.output as { status: string }).status, 'failed');
  assert.is((job.output as { detail: string }).detail, 'EACCES');
});

test('one backup at a time, and none where there is no room for a copy', async () => {
  const opened = await openLedger();
  const first = call(opened, 'backup.create', {});
  const second = await call(opened, 'backup.create', {});
  assert.is(!second.ok && second.error.code, 'unavailable');
  await opened.kit.settle();
  await first;
  opened.store.freeBytes = 12_000_000;
  const third = await call(opened, 'backup.create', {});
  assert.is(!third.ok && third.error.code, 'storage_low');
});

test('a job begun after the clock was set back sorts behind those of an earlier process', async () => {
  const before = await openLedger();
  const first = await call(before, 'backup.create', {});
  await before.drain();
  const { job_id } = (first.ok ? first.output : {}) as { job_id: string };
  const store = createHeldStore(before.store);
  const after = await openLedger({ store, wallMs: NOW_MS - 3_600_000 });
  const second = await call(after, 'backup.create', {});
  await after.drain();
  assert.ok(second.ok && (second.output as { job_id: string }).job_id > job_id);
});

test('an unknown job is not found', async () => {
  const opened = await openLedger();
  const job = await call(opened, 'jobs.get', { job_id: '0'.repeat(26) });
  assert.is(!job.ok && job.error.code, 'not_found');
});

test('a job that ran when the process died is failed at the next start', async () => {
  const store = createHeldStore();
  const row = {
    v: 1,
    operation: 'backup.create',
    status: 'running',
    detail: '',
    startedAtMs: 1,
    endedAtMs: 0,
  };
  const put = [{ table: 'jobs', key: '1'.repeat(26), row }];
  await store.commit([{ expect: [], put, remove: [], facts: [] }], 1);
  const opened = await openLedger({ store });
  const job = await call(opened, 'jobs.get', { job_id: '1'.repeat(26) });
  assert.ok(job.ok);
  assert.is((job.output as { status: string }).status, 'failed');
  assert.is((job.output as { detail: string }).detail, 'interrupted');
});

test('a start that fails closes the store that it opened', async () => {
  const store = createHeldStore();
  store.scan = () => {
    throw Object.assign(new Error('a row that cannot be read'), { code: 'store_corrupt' });
  };
  assert.is(await rejectionCode(openLedger({ store })), 'store_corrupt');
  assert.ok(store.isClosed);
});

test('a coded refusal of the store passes through the start', async () => {
  const deps = {
    openStore: async () => {
      throw Object.assign(new Error('locked'), { code: 'store_locked' });
    },
  };
  assert.is(await rejectionCode(openLedger({ deps })), 'store_locked');
});

test('retention removes what is old in small slices and leaves what is young or in use', async () => {
  const store = createHeldStore();
  const put = [];
  for (let n = 0; n < 1_200; n += 1) {
    const ageMs = n % 2 === 0 ? 9 * DAY_MS : DAY_MS;
    put.push({ table: 'dedupe', key: `k${n}`, row: { v: 1, acceptedAtMs: NOW_MS - ageMs } });
  }
  const endedAtMs = NOW_MS - 40 * DAY_MS;
  for (const status of ['done', 'pending']) {
    put.push({ table: 'runs', key: `old ${status}`, row: { v: 1, status, endedAtMs } });
  }
  const young = { v: 1, status: 'done', endedAtMs: NOW_MS - DAY_MS };
  put.push({ table: 'runs', key: 'young', row: young });
  await store.commit([{ expect: [], put, remove: [], facts: [] }], NOW_MS);
  const retention: RetentionRule[] = [
    { table: 'dedupe', maxAgeMs: 8 * DAY_MS, timeField: 'acceptedAtMs' },
    {
      table: 'runs',
      maxAgeMs: 30 * DAY_MS,
      timeField: 'endedAtMs',
      onlyWhere: { field: 'status', values: ['done'] },
    },
  ];
  const opened = await openLedger({ store, args: { retention } });
  store.batches.splice(0);
  for (let n = 0; n < 60; n += 1) {
    await opened.kit.advance(1_000);
    await opened.kit.settle();
  }
  assert.is(store.scan({ table: 'dedupe', limit: 2_000 }).rows.length, 600);
  assert.is(store.scan({ table: 'runs', limit: 10 }).rows.length, 2);
  assert.is(store.read('runs', 'old done'), undefined);
  for (const batch of store.batches) for (const set of batch) assert.ok(set.remove.length <= 500);
});

test('the owner of rows hears which of them retention removed, and nothing more goes before it has', async () => {
  const store = createHeldStore();
  const put = Array.from({ length: 600 }, (_, n) => ({
    table: 'dead_letters',
    key: `d${n}`,
    row: { v: 1, updatedAtMs: n === 0 ? NOW_MS : NOW_MS - 31 * DAY_MS },
  }));
  await store.commit([{ expect: [], put, remove: [], facts: [] }], NOW_MS);
  const owner = { address: 'test/outbox' };
  const rule = { table: 'dead_letters', maxAgeMs: 30 * DAY_MS, timeField: 'updatedAtMs' };
  let hasRoom = false;
  const opened = await openLedger({
    store,
    args: { retention: [rule], rowOwners: { dead_letters: owner } },
    takes: (to) => to !== owner.address || hasRoom,
  });
  const sweep = async () => {
    for (let n = 0; n < 60; n += 1) {
      await opened.kit.advance(1_000);
      await opened.kit.settle();
    }
  };
  const kept = () => store.keys({ table: 'dead_letters', limit: 1_000 }).keys;
  await sweep();
  assert.is(kept().length, 101, 'one slice of 500, of which one row is young');
  hasRoom = true;
  opened.kit.take();
  await sweep();
  assert.equal(kept(), ['d0']);
  const told = opened.kit.effects.flatMap((effect) =>
    effect.type === 'tell' && effect.kind === 'removed' ? [effect] : [],
  );
  assert.equal(new Set(told.map(({ to }) => to)), new Set([owner.address]));
  const keys = told.flatMap(({ payload }) => (payload as { keys: readonly string[] }).keys);
  assert.equal([keys.length, new Set(keys).size, keys.includes('d0')], [599, 599, false]);
});

test('a wall clock that jumps by years removes nothing at once, in a running process and over a restart', async () => {
  const retention = [{ table: 'dedupe', maxAgeMs: 8 * DAY_MS, timeField: 'acceptedAtMs' }];
  const store = createHeldStore();
  const rows = [
    ['week', NOW_MS - 7 * DAY_MS],
    ['now', NOW_MS],
  ] as const;
  const put = rows.map(([key, acceptedAtMs]) => ({
    table: 'dedupe',
    key,
    row: { v: 1, acceptedAtMs },
  }));
  await store.commit([{ expect: [], put, remove: [], facts: [] }], NOW_MS);
  const sweep = async (opened: Opened) => {
    for (let n = 0; n < 60; n += 1) {
      await opened.kit.advance(1_000);
      await opened.kit.settle();
    }
  };
  const kept = () => store.keys({ table: 'dedupe', limit: 10 }).keys;
  const running = await openLedger({ store, args: { retention } });
  await sweep(running);
  const { wallMs } = running.kit.self.clock;
  running.kit.self.clock.wallMs = () => wallMs() + 73 * 365 * DAY_MS;
  await running.kit.advance(900_000);
  await sweep(running);
  assert.equal(kept(), ['now', 'week']);
  // What the process before wrote while its clock was wrong tells the next one nothing wrong.
  const again = createHeldStore(store);
  const wrong = { store: again, args: { retention }, wallMs: NOW_MS + 73 * 365 * DAY_MS };
  await sweep(await openLedger(wrong));
  assert.equal(kept(), ['now', 'week']);
  const right = { store: createHeldStore(again), args: { retention }, wallMs: NOW_MS + 2 * DAY_MS };
  const late = await openLedger(right);
  for (let hour = 0; hour < 8; hour += 1) await late.kit.advance(3_600_000);
  await sweep(late);
  assert.equal(kept(), ['now']);
});

test('metrics name no table row and are well formed', async () => {
  const opened = await openLedger();
  const reply = opened.put('k1');
  await opened.drain();
  await reply;
  const metrics = opened.kit.receive('metrics', null) as { name: string; samples: unknown[] }[];
  for (const metric of metrics) assert.match(metric.name, /^palyra_ledger_[a-z_]+$/);
  assert.ok(metrics.some((metric) => metric.name === 'palyra_ledger_change_sets_total'));
});

test.run();
