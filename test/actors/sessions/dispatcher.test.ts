/** The dispatcher after the end of a session: what it looks for, and when. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { INBOX, inboxKey } from '../../../actors/router/rows.ts';
import { sessionsActor } from '../../../actors/sessions/actor.ts';
import type { RoutedRun } from '../../../actors/sessions/protocol.ts';
import type { Metric } from '../../../proto/control/owner.ts';
import type { ExitCause } from '../../../runtime/actor.ts';
import { createDeferred } from '../../../runtime/deferred.ts';
import type { ChangeSet, ScanQuery } from '../../../runtime/store/store.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';
import { idOf, KEY, openSession } from './session-rig.ts';

const test = suite('actors/sessions: the dispatcher');

const LEDGER = { address: 'test/ledger' };
const ROUTER = { address: 'test/router' };

/** A dispatcher that has looked once, over a store that is real. */
async function openDispatcher() {
  const { store, commit, route, inbox } = await openSession();
  /** Where set, a look at the store is answered after it, with what it found before. */
  const script: { hold: Promise<void> | undefined } = { hold: undefined };
  const args = {
    ledger: LEDGER,
    outbox: { address: 'test/outbox' },
    router: ROUTER,
    run: { module: 'test', export: 'run' },
  };
  const kit = await createBehaviorKit(sessionsActor, args, null, {
    async answer(_to, kind, payload) {
      if (kind === 'health') return store.health();
      if (kind === 'commit') return commit((payload as { changes: ChangeSet }).changes);
      if (kind === 'keys') {
        const page = store.keys(payload as ScanQuery);
        await script.hold;
        return page;
      }
      const { table, key } = payload as { table: string; key: string };
      const stored = store.read(table, key);
      return stored === undefined ? [] : [stored];
    },
  });
  const advance = async (ms: number) => {
    await kit.advance(ms);
    await kit.settle();
  };
  await advance(0);
  /** A run that its session has begun. */
  const begin = async (nativeId: string): Promise<RoutedRun> => {
    const run = await route(nativeId);
    kit.receive('routed', run);
    return run;
  };
  /** Its end becomes durable, and nobody hears so. */
  const endUnheard = async ({ envelopeId }: RoutedRun) => {
    const remove = [{ table: INBOX, key: inboxKey(KEY, envelopeId) }];
    await commit({ expect: [], put: [], remove, facts: [] });
  };
  const endSession = async (cause: Partial<ExitCause> = {}) => {
    const spawned = kit.effects.find((effect) => effect.type === 'spawn');
    const id = spawned?.spec.id ?? '';
    await sessionsActor.childEnded?.(
      kit.state,
      {
        id,
        ref: { address: `test/subject#1/${id}#1` },
        incarnation: 1,
        cause: { kind: 'crashed', code: 'told_to', ...cause },
      },
      kit.self,
    );
  };
  /** Runs that the router was told are over. */
  const over = () =>
    kit.effects.flatMap((effect) =>
      effect.type === 'tell' && effect.kind === 'runEnded' && effect.to === ROUTER.address
        ? [(effect.payload as RoutedRun).envelopeId]
        : [],
    );
  return { kit, script, advance, begin, endUnheard, endSession, over, inbox };
}

test('a run whose session ended between its durable end and the word of it is over within a second', async () => {
  const { kit, advance, begin, endUnheard, endSession, over } = await openDispatcher();
  const [ended, open] = [await begin('one'), await begin('two')];
  await endUnheard(ended);
  await endSession();
  await advance(1_000);
  assert.equal(over(), [ended.envelopeId]);
  assert.equal(kit.receive('open', null), { runs: 1 });
  await endUnheard(open);
  await endSession();
  await advance(1_000);
  assert.equal(over(), [ended.envelopeId, open.envelopeId]);
  const crashes = (kit.receive('metrics', null) as readonly Metric[]).find(
    ({ name }) => name === 'palyra_session_crashes_total',
  );
  assert.is(crashes?.samples[0]?.value, 2);
});

test('sessions that crash again and again do not put the look off', async () => {
  const { advance, begin, endUnheard, endSession, over } = await openDispatcher();
  const run = await begin('one');
  await endUnheard(run);
  await endSession();
  await advance(900);
  await endSession();
  assert.equal(over(), []);
  await advance(100);
  assert.equal(over(), [run.envelopeId]);
});

test('an end while a look is under way is looked at once more', async () => {
  const { kit, script, advance, begin, endUnheard, endSession, over } = await openDispatcher();
  const run = await begin('one');
  const hold = createDeferred<void>();
  script.hold = hold.promise;
  await endSession();
  await kit.advance(1_000);
  await endUnheard(run);
  await endSession();
  hold.resolve();
  await kit.settle();
  assert.equal(over(), [], 'it was there when the look began');
  await advance(1_000);
  assert.equal(over(), [run.envelopeId]);
});

test('a crash is charged to the open run that it names, by its envelope or its own id, before the session may start again', async () => {
  const { begin, endSession, inbox } = await openDispatcher();
  const [first, second] = [await begin('one'), await begin('two')];
  const crashes = () => [inbox(first)?.row.crashes, inbox(second)?.row.crashes];
  assert.equal(crashes(), [0, 0]);
  await endSession({ subject: first.envelopeId });
  assert.equal(crashes(), [1, 0]);
  await endSession({ kind: 'thread-lost', subject: idOf(second), culprit: true });
  assert.equal(crashes(), [1, 1]);
  await endSession({ kind: 'thread-lost', subject: idOf(second), culprit: false });
  await endSession({ subject: '' });
  await endSession({ subject: '01J00000000000000000000009' });
  assert.equal(crashes(), [1, 1], 'neither beside a culprit nor for what is not its own');
});

test.run();
