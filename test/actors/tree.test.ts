/** What the gateway's own retention keeps and for how long, on rows as its actors write them; what its tree tells an actor. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { begun, IDEMPOTENCY_TABLE, type IdempotencyRow } from '../../actors/control/rows.ts';
import { backupEnded, backupStarted, JOBS_TABLE, newBackup } from '../../actors/ledger/rows.ts';
import { NO_PROGRESS } from '../../actors/outbox/machine.ts';
import {
  DEAD_LETTERS,
  DELIVERED,
  DELIVERIES,
  progressed,
  queuedPart,
  queuedRow,
  steppedPart,
} from '../../actors/outbox/rows.ts';
import { acceptedChanges, DEDUPE, INBOX, rejectedChanges } from '../../actors/router/rows.ts';
import { endedRunChanges, RUNS, TAPES, TURNS } from '../../actors/sessions/rows.ts';
import { gatewayTree, RETENTION } from '../../actors/tree.ts';
import { planOf } from '../../cli/compose-plan.ts';
import { parseConfig } from '../../cli/config/parse.ts';
import { echoKind } from '../../connectors/echo/index.ts';
import { createEnvelopeId, createUlids, runIdOf, sessionKeyOf } from '../../proto/ids.ts';
import type { ChildSpec } from '../../runtime/child-spec.ts';
import type { ChangeSet } from '../../runtime/store/store.ts';
import { createHeldStore } from './ledger/held-store.ts';
import { openLedger } from './ledger/open-ledger.ts';
import { offer } from './sessions/story-fakes.ts';

type Put = ChangeSet['put'][number];

const NOW_MS = 1_800_000_000_000;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;

const test = suite('what the gateway keeps, and for how long');

/** For each table whose rows go: an age at which they are there for sure, and one at which they are gone. */
const PROMISES: readonly { table: string; keptMs: number; goneMs: number }[] = [
  // A webhook-id is promised for seven days.
  { table: DEDUPE, keptMs: 7 * DAY_MS - SECOND_MS, goneMs: 9 * DAY_MS },
  { table: RUNS, keptMs: 30 * DAY_MS - HOUR_MS, goneMs: 31 * DAY_MS },
  { table: TAPES, keptMs: 30 * DAY_MS - HOUR_MS, goneMs: 31 * DAY_MS },
  { table: TURNS, keptMs: 90 * DAY_MS - HOUR_MS, goneMs: 91 * DAY_MS },
  { table: DELIVERED, keptMs: 7 * DAY_MS - HOUR_MS, goneMs: 8 * DAY_MS },
  { table: DEAD_LETTERS, keptMs: 30 * DAY_MS - HOUR_MS, goneMs: 31 * DAY_MS },
  { table: JOBS_TABLE, keptMs: 30 * DAY_MS - HOUR_MS, goneMs: 31 * DAY_MS },
  { table: IDEMPOTENCY_TABLE, keptMs: DAY_MS - HOUR_MS, goneMs: DAY_MS + HOUR_MS },
];

/** What the actors write when all of it happens at one moment, ended and open. */
function writtenAt(atMs: number, name: string): readonly Put[] {
  const randomBytes = (size: number) => new Uint8Array(size);
  const envelopeId = createEnvelopeId(createUlids({ wallMs: () => atMs, randomBytes }, 0));
  const runId = runIdOf(envelopeId);
  const sessionKey = sessionKeyOf('echo:default', name, '');
  const event = { offer: offer(name, name, 'hi'), nativeId: name, bodySha256: 'x', trace: '' };
  const admission = { ...event, envelopeId, atMs };
  const target = { connectorId: 'echo:default', conversationId: name, threadId: '' };
  const message = { text: 'hi', inReplyTo: '', attachments: [] };
  const queued = queuedRow({ runId, target, message, order: 1, trace: '', atMs });
  const stepTo = (status: 'delivered' | 'dead', n: number) =>
    steppedPart({
      deliveryId: `${runId}:${n}`,
      revision: 1,
      before: queued,
      after: progressed(queued, status, NO_PROGRESS, atMs),
    });
  const key: IdempotencyRow = {
    v: 1,
    operation: 'backup.create',
    inputSha256: 'x',
    status: 'begun',
    output: null,
    errorCode: '',
    errorMessage: '',
    atMs,
  };
  const route = { sessionKey, responsePrefix: '', replyTo: null };
  const turns = [{ role: 'user', text: 'hi' } as const];
  const run = { runId, sessionKey, envelopeId, revision: 1, attempts: 1, crashes: 0 };
  const cost = { replyBytes: 0, replySha256: '', promptTokens: 0, completionTokens: 0 };
  const end = {
    ...run,
    status: 'done',
    reason: '',
    endedAtMs: atMs,
    turns,
    tape: [],
    cost,
  } as const;
  const job = { status: 'done', detail: '', endedAtMs: atMs } as const;
  return [
    acceptedChanges({ ...admission, key: `${name} accepted` }, route),
    rejectedChanges({ ...admission, key: `${name} rejected` }, 'channel_disabled'),
    endedRunChanges(end),
    queuedPart([{ deliveryId: name, row: queued }]),
    stepTo('delivered', 1),
    stepTo('dead', 2),
    backupStarted(`${name} running`, newBackup(atMs)),
    backupEnded(`${name} ended`, newBackup(atMs), job),
    begun(name, key),
  ].flatMap(({ put = [] }) => put);
}

test('a webhook-id is kept for seven days, and each other table as long as it is promised', async () => {
  const tables = RETENTION.map(({ table }) => table);
  assert.equal([...tables].sort(), PROMISES.map(({ table }) => table).sort());
  const isOpen = ({ table, key }: Put) =>
    table === INBOX || table === DELIVERIES || key.endsWith(' running');
  const ofTable = (table: string, ageMs: number, name: string) =>
    writtenAt(NOW_MS - ageMs, name).filter((put) => put.table === table && !isOpen(put));
  const kept = PROMISES.flatMap(({ table, keptMs }) => ofTable(table, keptMs, 'young'));
  const gone = PROMISES.flatMap(({ table, goneMs }) => ofTable(table, goneMs, 'old'));
  for (const puts of [kept, gone]) {
    assert.equal(new Set(puts.map(({ table }) => table)), new Set(tables), 'a row in each');
  }
  const open = writtenAt(NOW_MS - 10 * YEAR_MS, 'open').filter(isOpen);
  assert.is(open.length, 3, 'a run, a delivery and a job that have not ended');
  const store = createHeldStore();
  const put = [...kept, ...gone, ...open];
  await store.commit([{ expect: [], put, remove: [], facts: [] }], NOW_MS);
  const { kit } = await openLedger({ store, args: { retention: RETENTION }, wallMs: NOW_MS });
  for (let second = 0; second < 120; second += 1) {
    await kit.advance(SECOND_MS);
    await kit.settle();
  }
  const stays = ({ table, key }: Put) => store.read(table, key) !== undefined;
  const named = (puts: readonly Put[]) => puts.map(({ table, key }) => `${table}: ${key}`);
  assert.equal(named(gone.filter(stays)), []);
  assert.equal(named([...kept, ...open].filter((one) => !stays(one))), []);
});

type Spec = ChildSpec<unknown, unknown>;

/** All specs of a tree, the root's first. */
function specsIn(spec: Spec): readonly Spec[] {
  const { children = [] } = spec.start.args as { readonly children?: readonly Spec[] };
  return [spec, ...children.flatMap(specsIn)];
}

test('the outbox is told how long each account of the configuration keeps what it cannot send', () => {
  const account = (name: string, days: string) =>
    `[[connectors]]\nid = "echo:${name}"\nkind = "echo"\n${days}\n`;
  const text = account('own', 'parked_max_age_days = 3') + account('usual', '');
  const { config } = parseConfig(text, 'palyra.toml', { echo: echoKind });
  const specs = specsIn(gatewayTree(planOf(config, '0')) as Spec);
  const told = specs
    .filter(({ id }) => id === 'outbox')
    .map(({ start }) => (start.args as { readonly parkedMaxAgesMs: unknown }).parkedMaxAgesMs);
  assert.equal(told, [{ 'echo:own': 3 * DAY_MS, 'echo:usual': 7 * DAY_MS }]);
});

test.run();
