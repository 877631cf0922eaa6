/** What a session's model hears of an answer that did not arrive. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sessionsActor } from '../../../actors/sessions/actor.ts';
import type { RoutedRun } from '../../../actors/sessions/protocol.ts';
import { noteKey, TURNS } from '../../../actors/sessions/rows.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';
import { answerOf, idOf, KEY, openSession } from './session-rig.ts';

const test = suite('actors/sessions/notes');

type Kit = Awaited<ReturnType<Awaited<ReturnType<typeof openSession>>['open']>>['kit'];

/** What the model was shown last. */
const shown = (kit: Kit) =>
  kit.effects
    .flatMap((effect) =>
      effect.type === 'tell' && effect.kind === 'begin'
        ? [(effect.payload as { turns: readonly { text: string }[] }).turns]
        : [],
    )
    .at(-1)
    ?.map(({ text }) => text);

async function createNoted() {
  const all = await openSession();
  const note = async ({ envelopeId }: RoutedRun) => {
    const row = { v: 1, note: 'This answer was not delivered (permanent).', atMs: 1 };
    const key = noteKey({ sessionKey: KEY, envelopeId }, 0);
    await all.commit({ expect: [], put: [{ table: TURNS, key, row }], remove: [], facts: [] });
  };
  return { ...all, note };
}

const NOTED = 'to n\n[This answer was not delivered (permanent).]';

test('a session that begins shows its model which answers did not arrive, and still every exchange', async () => {
  const { route, open, note } = await createNoted();
  const first = await open();
  const runs: RoutedRun[] = [];
  for (let n = 0; n < 22; n += 1) {
    const run = await route(`q${n}`);
    runs.push(run);
    first.kit.receive('enqueue', run);
    await first.kit.settle();
    await first.answered(idOf(run), answerOf('to n'));
  }
  for (const [n, run] of runs.entries()) if (n % 3 === 2) await note(run);
  const { kit } = await open();
  kit.receive('enqueue', await route('now'));
  await kit.settle();
  const texts = shown(kit) ?? [];
  assert.is(texts.length, 41);
  for (let n = 2; n < 22; n += 1) {
    const at = 2 * (n - 2);
    assert.equal([texts[at], texts[at + 1]], [`q${n}`, n % 3 === 2 ? NOTED : 'to n']);
  }
});

type Noted = Awaited<ReturnType<typeof createNoted>>;

/** Routes a message to the session and lets it take the message up. */
function askerOf(kit: Kit, route: Noted['route']) {
  return async (text: string) => {
    const run = await route(text);
    kit.receive('enqueue', run);
    await kit.settle();
    return run;
  };
}

test('a session in memory reads its turns again when it is told to, and not otherwise', async () => {
  const { route, open, note, script } = await createNoted();
  let reads = 0;
  script.scanFails = ({ table }) => {
    if (table === TURNS) reads += 1;
    return false;
  };
  const { kit, answered } = await open();
  const ask = askerOf(kit, route);
  const first = await ask('one');
  await answered(idOf(first), answerOf('to n'));
  const second = await ask('two');
  assert.is(reads, 1);
  await note(first);
  kit.receive('turnsChanged', null);
  await kit.settle();
  await answered(idOf(second), answerOf('to n'));
  await ask('three');
  assert.equal(shown(kit), ['one', NOTED, 'two', 'to n', 'three']);
  assert.is(reads, 2);
});

test('a session that looks for open runs keeps its turns as it has them, without what the model had no room for', async () => {
  const { route, open, script } = await openSession();
  let reads = 0;
  script.scanFails = ({ table }) => {
    if (table === TURNS) reads += 1;
    return false;
  };
  const { kit, answered } = await open();
  const exchange = async (text: string, leftOut = 0) => {
    const run = await route(text);
    kit.receive('enqueue', run);
    kit.receive('refresh', null);
    await kit.settle();
    await answered(idOf(run), answerOf(`to ${text}`, leftOut));
  };
  await exchange('one');
  await exchange('two');
  await exchange('three', 2);
  await exchange('four');
  assert.equal(shown(kit), ['two', 'to two', 'three', 'to three', 'four']);
  assert.is(reads, 1);
});

test('turns that change while they are read are read once more', async () => {
  const { route, open, note, script } = await createNoted();
  const { kit, answered } = await open();
  const ask = askerOf(kit, route);
  const first = await ask('one');
  await answered(idOf(first), answerOf('to n'));
  let reads = 0;
  script.scanFails = ({ table }) => {
    if (table !== TURNS) return false;
    reads += 1;
    // Behind what this read sees, and before the session has it.
    if (reads === 1) {
      queueMicrotask(() => {
        void note(first);
        kit.receive('turnsChanged', null);
      });
    }
    return false;
  };
  kit.receive('turnsChanged', null);
  await kit.settle();
  await ask('two');
  await kit.settle();
  assert.equal([shown(kit), reads], [['one', NOTED, 'two'], 2]);
});

test('the dispatcher tells a session in memory of changed turns until it takes it, and one that is silent to look; what has no row is over', async () => {
  const { route } = await openSession();
  let isFull = true;
  const kit = await createBehaviorKit(
    sessionsActor,
    {
      ledger: { address: 'test/ledger' },
      outbox: { address: 'test/outbox' },
      router: { address: 'test/router' },
      run: { module: 'test', export: 'run' },
    },
    null,
    {
      answer: (_to, kind) => (kind === 'health' ? { revision: 1 } : { keys: [], next: '' }),
      takes: (_to, kind) => kind !== 'turnsChanged' || !isFull,
    },
  );
  const toldIn = async (ms: number) => {
    kit.take();
    await kit.advance(ms);
    await kit.settle();
    return kit.take().flatMap((effect) => (effect.type === 'tell' ? [effect.kind] : []));
  };
  await toldIn(0);
  kit.receive('turnsChanged', { sessionKey: KEY });
  kit.receive('routed', await route('one'));
  assert.equal(await toldIn(1_000), []);
  kit.receive('turnsChanged', { sessionKey: KEY });
  kit.receive('turnsChanged', { sessionKey: KEY });
  await toldIn(1_000);
  isFull = false;
  assert.equal(await toldIn(1_000), ['turnsChanged']);
  assert.equal(await toldIn(70_000), ['refresh', 'runEnded']);
});

test.run();
