/** What `runs.get` says of a run that is open, that has ended, that ends meanwhile, and that never was. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { LedgerProtocol } from '../../../actors/ledger/protocol.ts';
import { planAdmission } from '../../../actors/router/admission.ts';
import { decide } from '../../../actors/router/decide.ts';
import { INBOX, inboxKey, parseInboxRow } from '../../../actors/router/rows.ts';
import { blameRun } from '../../../actors/sessions/blame.ts';
import { operate } from '../../../actors/sessions/control.ts';
import { planFinish } from '../../../actors/sessions/finish.ts';
import type { RoutedRun } from '../../../actors/sessions/protocol.ts';
import type { Asker } from '../../../actors/sessions/reading.ts';
import { cutRunChanges } from '../../../actors/sessions/rows.ts';
import { toTask } from '../../../actors/sessions/task.ts';
import { createEnvelopeId, createUlids, type EnvelopeId, runIdOf } from '../../../proto/ids.ts';
import type { ActorRef } from '../../../runtime/actor.ts';
import { AskError } from '../../../runtime/errors.ts';
import type { EncodedChangeSet } from '../../../runtime/store/encoding.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ChangeSet, ScanQuery } from '../../../runtime/store/store.ts';
import { declared } from '../../support/declared.ts';
import { OPEN_RULES, request } from './story-fakes.ts';

const test = suite('actors/sessions/control');

const LEDGER: ActorRef<LedgerProtocol> = { address: 'test/ledger' };
const WALL_MS = 1_800_000_000_000;
const SESSION = 'channel:echo:default:conversation:one';

const idOf = ({ envelopeId }: RoutedRun) => runIdOf(envelopeId as EnvelopeId);

function openWorld() {
  const store = createMemoryStore();
  // All of them within one millisecond.
  const nextUlid = createUlids({ wallMs: () => WALL_MS, randomBytes: (n) => new Uint8Array(n) });
  /** Told of each ask before it is answered. */
  const script: { asked: (kind: string) => Promise<void> | void } = { asked: () => undefined };
  const commit = async (changes: ChangeSet | EncodedChangeSet) => {
    const [outcome] = await store.commit([changes], 0);
    if (outcome === undefined) throw new Error('no outcome');
    return outcome;
  };
  const asker = {
    async ask(_ref: unknown, kind: string, payload: unknown) {
      await script.asked(kind);
      // As the ledger's pages may, they end before their limit.
      const page = { ...(payload as ScanQuery), limit: 2 };
      if (kind === 'keys') return store.keys(page);
      if (kind === 'scan') return store.scan(page);
      if (kind === 'commit') return commit((payload as { changes: ChangeSet }).changes);
      const { table, key } = payload as { table: string; key: string };
      const stored = store.read(table, key);
      return stored === undefined ? [] : [stored];
    },
  } as unknown as Asker;
  const accept = async (nativeId: string): Promise<RoutedRun> => {
    const admitted = request('one', nativeId);
    const envelopeId = createEnvelopeId(nextUlid);
    const decision = decide(OPEN_RULES, admitted.offer);
    const plan = planAdmission(admitted, decision, { envelopeId, after: '' });
    const outcome = await commit(plan.changes);
    if (!outcome.ok || plan.run === undefined) throw new Error('not accepted');
    return plan.run;
  };
  const stored = ({ envelopeId }: RoutedRun) => {
    const row = store.read(INBOX, inboxKey(SESSION, envelopeId));
    if (row === undefined) throw new Error('not open');
    return row;
  };
  const end = async (run: RoutedRun) => {
    const answer = {
      type: 'answered',
      text: 'ok',
      promptTokens: 0,
      completionTokens: 0,
      leftOut: 0,
    } as const;
    const task = toTask({ ...run, runId: idOf(run) }, stored(run));
    const finish = planFinish(task, answer, WALL_MS + 5);
    assert.is((await commit(finish.changes)).ok, true);
  };
  const get = async (runId: string, known: readonly RoutedRun[] = []) => {
    const call = { operation: 'runs.get', input: { run_id: runId }, principal: 'test' } as const;
    return declared('runs.get', await operate(call, known, asker, LEDGER));
  };
  return { store, script, commit, asker, accept, end, get, stored };
}

test('an open run is pending, with the times that it was cut; once ended it says how', async () => {
  const { accept, commit, end, get, stored } = openWorld();
  await accept('first');
  await accept('second');
  const run = await accept('this');
  await accept('behind');
  const runId = idOf(run);
  const open = {
    run_id: runId,
    envelope_id: run.envelopeId,
    session_key: SESSION,
    status: 'pending',
    attempts: 0,
    created_at_ms: WALL_MS,
    reason: '',
    tape: [],
  };
  assert.equal(await get(runId), { ok: true, output: open });
  const inbox = parseInboxRow(stored(run), run.envelopeId);
  const { changes } = cutRunChanges(run, inbox, { attempt: true, blamed: false, processEnd: true });
  await commit(changes);
  assert.equal(await get(runId), { ok: true, output: { ...open, attempts: 1 } });
  await end(run);
  const tape = [
    { seq: 0, type: 'message.received', text: 'this', at_ms: WALL_MS + 5 },
    { seq: 1, type: 'message.replied', text: 'ok', at_ms: WALL_MS + 5 },
    { seq: 2, type: 'status', text: 'done', at_ms: WALL_MS + 5 },
  ];
  assert.equal(await get(runId), {
    ok: true,
    output: { ...open, status: 'done', attempts: 1, tape },
  });
});

test('a run that ends while it is looked for is found ended', async () => {
  for (const moment of ['keys', 'read']) {
    const { accept, end, get, script } = openWorld();
    const run = await accept('this');
    let reads = 0;
    script.asked = async (kind) => {
      if (kind === 'read') reads += 1;
      // The second read is that of the open row; the first one found no end.
      if (kind !== moment || (kind === 'read' && reads < 2)) return;
      script.asked = () => undefined;
      await end(run);
    };
    const reply = await get(idOf(run));
    assert.is(reply.ok && (reply.output as { status: string }).status, 'done', moment);
  }
});

test('a run that nobody knows is not found, whether or not others are open', async () => {
  const { accept, get } = openWorld();
  const unknown = runIdOf(`${'0'.repeat(25)}1` as EnvelopeId);
  for (let open = 0; open < 2; open += 1) {
    for (const runId of [unknown, `${idOf(await accept(`m${open}`)).slice(0, 25)}!`]) {
      const reply = await get(runId);
      assert.is(!reply.ok && reply.error.code, 'not_found');
    }
  }
});

test('an open run whose row cannot be read is still pending, and a ledger that is away is unavailable', async () => {
  const { accept, commit, get, script } = openWorld();
  const run = await accept('this');
  const put = [{ table: INBOX, key: inboxKey(SESSION, run.envelopeId), row: { v: 99 } }];
  await commit({ expect: [], put, remove: [], facts: [] });
  const reply = await get(idOf(run));
  assert.is(reply.ok && (reply.output as { status: string }).status, 'pending');
  script.asked = (kind) => {
    throw new AskError('ask_timeout', LEDGER.address, kind);
  };
  const refused = await get(idOf(run));
  assert.is(!refused.ok && refused.error.code, 'unavailable');
});

test('a run that the dispatcher knows is found without a search of the store', async () => {
  const { accept, get, script } = openWorld();
  const others = [await accept('first'), await accept('second')];
  const run = await accept('this');
  const asked: string[] = [];
  script.asked = (kind) => void asked.push(kind);
  const reply = await get(idOf(run), [...others, run]);
  assert.is(reply.ok && (reply.output as { envelope_id: string }).envelope_id, run.envelopeId);
  assert.equal(asked, ['read', 'read']);
});

test('a crash is charged to the open row of its run, once more after a conflict, and not after its end', async () => {
  const { accept, asker, end, script, store, stored, commit } = openWorld();
  const run = await accept('this');
  const place = { table: INBOX, key: inboxKey(SESSION, run.envelopeId) };
  script.asked = async (kind) => {
    if (kind !== 'commit') return;
    script.asked = () => undefined;
    const put = [{ ...place, row: { ...stored(run).row, attempts: 7 } }];
    await commit({ expect: [], put, remove: [], facts: [] });
  };
  assert.is(await blameRun(run, asker, LEDGER), 'counted');
  const { row } = stored(run);
  assert.equal([row.attempts, row.crashes], [7, 1]);
  await end(run);
  assert.is(await blameRun(run, asker, LEDGER), 'ended');
  assert.is(store.read(place.table, place.key), undefined);
});

test.run();
