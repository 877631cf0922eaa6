/** What is asked of an actor while its thread is being replaced: runtime/SEMANTICS.md A4. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AskError, child, refTo } from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import { type CounterProtocol, counterActor } from './support/actors.ts';
import { type AskerProtocol, askerActor } from './support/asker-actor.ts';
import { type ParentProtocol, parentActor } from './support/parent-actor.ts';
import { withTree } from './support/system.ts';

const IN_20S = { inMs: 20_000 };
const culprit = refTo<CounterProtocol>('t', 'root/culprit');
const neighbour = refTo<CounterProtocol>('t', 'root/neighbour');
const asker = refTo<AskerProtocol>('t', 'root/asker');
const parent = refTo<ParentProtocol>('t', 'root/parent');
const KID = { id: 'kid', args: {} };
const CHILDREN = [
  child(counterActor, { id: 'culprit', args: {}, placement: { hash: 'a' } }),
  child(counterActor, { id: 'neighbour', args: {}, placement: { hash: 'a' } }),
  child(askerActor, { id: 'asker', args: null, placement: { hash: 'b' } }),
];
const PARENT = child(parentActor, {
  id: 'parent',
  args: { trace: refTo<never>('t', 'nobody'), children: [child(counterActor, KID)] },
  placement: { hash: 'b' },
});
const LONG = { minMs: 60_000, maxMs: 60_000, factor: 1, jitter: 0, resetAfterMs: 60_000 };

const test = suite('actors whose thread is being replaced');

test('A4 M17 an ask of one that waits to start again is thread_lost and retryable, from main and from another thread', () =>
  within(
    'the asks',
    withTree(
      'threads',
      { children: CHILDREN, supervision: { backoff: LONG } },
      async ({ system, events }) => {
        assert.is((await system.ask(asker, 'ask', culprit, IN_20S)).code, '');
        system.tell(culprit, 'misbehave', 'exit');
        await until('it is lost', () => events.some(({ type }) => type === 'thread.lost'));
        const refused = { code: 'thread_lost', retryable: true };
        const fromMain = (asking: Promise<unknown>) =>
          asking.catch((error) => {
            assert.instance(error, AskError);
            return { code: error.code, retryable: error.retryable };
          });
        assert.equal(await fromMain(system.ask(culprit, 'where', null, IN_20S)), refused);
        assert.equal(await fromMain(system.ready(culprit, IN_20S)), refused);
        assert.not.ok(system.tell(culprit, 'add', 1));
        // The first one may have left before its thread heard of the loss.
        const answers = await until('its thread has heard of it', async () => {
          const answer = await system.ask(asker, 'ask', culprit, IN_20S);
          assert.is(answer.code, 'thread_lost');
          return answer.retryable && answer;
        });
        assert.equal(answers, refused);
      },
    ),
    30_000,
  ));

test('A4 T3 an ask of one that comes back waits for it or is thread_lost, and is never told that nobody is there', () =>
  within(
    'the rounds',
    withTree('threads', { children: CHILDREN }, async ({ system }) => {
      for (let round = 1; round <= 6; round += 1) {
        const incarnation = round + 1;
        const asked = system.ask(asker, 'askUntil', { of: neighbour, incarnation }, IN_20S);
        system.tell(culprit, 'misbehave', 'exit');
        for (const code of await asked) assert.is(code, 'thread_lost');
        await until('the culprit is back', async () => {
          const found = await system.ask(culprit, 'where', null, IN_20S).catch(() => undefined);
          return found?.incarnation === incarnation;
        });
      }
    }),
    90_000,
  ));

test('A4 M17 below its own thread too an actor hears of one that has ended, or never was, that nobody is there', () =>
  within(
    'the asks',
    withTree('threads', { children: [...CHILDREN, PARENT] }, async ({ system }) => {
      const asks = (path: string, kind: 'ask' | 'ready') =>
        system.ask(asker, kind, refTo<CounterProtocol>('t', path), IN_20S);
      assert.equal(await asks('root/parent/kid', 'ask'), { code: '', retryable: false });
      system.tell(parent, 'stopChild', 'kid');
      await until('it is gone', async () => {
        const left = await system.ask(parent, 'childIds', null, IN_20S);
        return left.length === 0;
      });
      const ended = 'root/parent/kid';
      for (const path of [ended, 'root/asker/never', 'root/neighbour/never', 'root/never'])
        for (const kind of ['ask', 'ready'] as const)
          assert.equal(await asks(path, kind), { code: 'actor_dead', retryable: false }, path);
    }),
    30_000,
  ));

test.run();
