/** Messages and asks, inline and over threads: runtime/SEMANTICS.md M and A. */
import { getEventListeners } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ActorRef,
  AskError,
  checkChildSpec,
  child,
  createSystem,
  refTo,
  supervisor,
} from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import {
  type CounterProtocol,
  counterActor,
  type LifeProtocol,
  lifeActor,
  type TraceProtocol,
  traceActor,
} from './support/actors.ts';
import { MODES, withTree } from './support/system.ts';
import { type TeamProtocol, teamActor } from './support/team-actor.ts';

const a = refTo<CounterProtocol>('t', 'root/a');
const b = refTo<CounterProtocol>('t', 'root/b');
const trace = refTo<TraceProtocol>('t', 'root/trace');
const life = refTo<LifeProtocol>('t', 'root/life');
const nobody = refTo<CounterProtocol>('t', 'root/nobody');
const PAIR = [
  child(traceActor, { id: 'trace', args: null, placement: { hash: 'b' } }),
  child(counterActor, { id: 'a', args: {}, placement: { hash: 'a' } }),
  child(counterActor, { id: 'b', args: {}, placement: { hash: 'b' } }),
  child(lifeActor, { id: 'life', args: { name: 'life', trace }, placement: { hash: 'b' } }),
];
const IN_2S = { inMs: 2_000 };

class Own {
  readonly n = 1;
  get twice(): number {
    return this.n * 2;
  }
}

async function codeOf(ask: Promise<unknown>): Promise<string> {
  try {
    await ask;
  } catch (error) {
    return error instanceof AskError ? error.code : `not an AskError: ${error}`;
  }
  return 'no error';
}

for (const mode of MODES) {
  const test = suite(`messages, ${mode}`);
  const it = (title: string, work: Parameters<typeof withTree>[2]) =>
    test(title, () => within(title, withTree(mode, { children: PAIR }, work), 20_000));

  it('M1 messages of one sender are handled in the order sent', async ({ system }) => {
    for (let i = 0; i < 5_000; i += 1) {
      while (!system.tell(trace, 'note', String(i)))
        await new Promise((resolve) => setImmediate(resolve));
    }
    const lines = (await system.ask(trace, 'read', null, IN_2S)).filter((line) => /^\d/.test(line));
    assert.equal(
      lines,
      Array.from({ length: 5_000 }, (_, i) => String(i)),
    );
  });

  it('M1 messages between two threads go directly and in order', async ({ system }) => {
    for (let n = 1; n <= 20; n += 1) {
      assert.is(await system.ask(a, 'relay', { to: b, n: 1 }, IN_2S), n);
    }
  });

  it('M3 a tell to nobody is false or becomes a dead letter, and is counted', async ({
    system,
  }) => {
    const nobody = refTo<CounterProtocol>('t', 'root/nobody');
    assert.is(system.tell(nobody, 'add', 1), false);
    assert.is((await system.inspect()).counters.dead_letters, 1);
  });

  it('M4 a full mailbox refuses; nothing it took is lost', async ({ system }) => {
    await system.ask(life, 'ping', null, IN_2S);
    const parked = system.ask(a, 'slow', 200, IN_2S);
    const answers = Array.from({ length: 3 }, () => system.ask(a, 'total', null, IN_2S));
    await parked;
    assert.equal(await Promise.all(answers), [0, 0, 0]);
  });

  it('M7 a message that cannot be encoded fails its asker; its neighbours arrive', async ({
    system,
    events,
  }) => {
    for (const formless of [Symbol('x'), { deep: [() => 1] }, { big: 2n ** 70n }]) {
      const before = system.ask(a, 'echo', 1, IN_2S);
      const broken = codeOf(system.ask(a, 'echo', formless, IN_2S));
      const after = system.ask(a, 'echo', 2, IN_2S);
      assert.is(await broken, 'not_encodable');
      assert.equal(await Promise.all([before, after]), [1, 2]);
    }
    assert.is(await codeOf(system.ask(a, 'giveFunction', null, IN_2S)), 'not_encodable');
    await system.ask(a, 'relay', { to: b, n: 1 }, IN_2S);
    assert.is(
      system.tell(b, 'echo', () => 1),
      true,
      'as a thread says that will not carry it',
    );
    const isLost = ({ type, ...event }: { type: string; reason?: string }) =>
      type === 'dead_letter' && event.reason === 'not_encodable';
    await until('it is a dead letter', () => events.some(isLost));
  });

  it('M9 over a border a message is what a frame makes of it', async ({ system }) => {
    const sent = {
      map: new Map([['k', 1]]),
      set: new Set([1]),
      at: new Date(5),
      counter: new Own(),
    };
    const got = await system.ask(a, 'echo', sent, IN_2S);
    assert.equal(got, { map: { k: 1 }, set: [1], at: new Date(5), counter: { n: 1 } });
    assert.not.instance((got as { counter: unknown }).counter, Own);
    assert.is(Object.isFrozen(sent), false, 'what was copied is its sender’s alone');
  });

  it('M9 a child that is to leave its thread is given data', async ({ system }) => {
    const args = { from: 1, callback: () => 1 };
    const spec = child(counterActor, { id: 'x', args, placement: { hash: 'x' } });
    assert.throws(() => checkChildSpec(spec), /start\.args is object, expected data that another/);
    assert.is(checkChildSpec({ ...spec, placement: 'with-parent' }).start.args, args);
    assert.is((await system.inspect()).counters.crashes, 0);
  });

  it('M6 a name that is not in the table is refused, also a name of every object', async ({
    system,
  }) => {
    for (const kind of ['nonsense', 'constructor', '__proto__', 'hasOwnProperty', 'toString']) {
      assert.is(await codeOf(system.ask(a, kind as 'total', null, IN_2S)), 'unknown_kind', kind);
    }
    assert.is((await system.ask(a, 'where', null, IN_2S)).incarnation, 1);
  });

  it('values of every plain shape arrive as they were sent', async ({ system }) => {
    const values = [
      null,
      true,
      0,
      -1.5,
      2 ** 40,
      'ä€😀',
      [],
      [1, [2]],
      { a: { b: [null] }, ü: '' },
    ];
    for (const value of values) assert.equal(await system.ask(a, 'echo', value, IN_2S), value);
    for (const size of [0, 5, 20_000]) {
      const bytes = new Uint8Array(size).fill(7);
      const echoed = (await system.ask(a, 'echo', { bytes }, IN_2S)) as { bytes: Uint8Array };
      assert.equal(new Uint8Array(echoed.bytes), bytes, `${size} bytes`);
    }
  });

  it('A1 A4 an ask to an actor that crashes on it ends with actor_crashed', async ({ system }) => {
    assert.is(await codeOf(system.ask(a, 'crash' as 'total', null, IN_2S)), 'actor_crashed');
  });

  it('A2 an ask ends at its deadline, and an expired one is never handled', async ({ system }) => {
    const parked = system.ask(a, 'slow', 1_000, IN_2S);
    const beganMs = performance.now();
    assert.is(await codeOf(system.ask(a, 'relay', { to: b, n: 9 }, { inMs: 100 })), 'ask_timeout');
    assert.ok(performance.now() - beganMs < 900, 'at the deadline, not at the reply');
    await parked;
    assert.is(await system.ask(b, 'total', null, IN_2S), 0);
  });

  it('A2 an ask ends when its signal aborts', async ({ system }) => {
    const abort = new AbortController();
    const asked = codeOf(system.ask(a, 'slow', 300, { inMs: 2_000, signal: abort.signal }));
    abort.abort();
    assert.is(await asked, 'ask_aborted');
  });

  it('A1 an ask that has ended leaves nothing behind, however it ended', async ({ system }) => {
    const { signal } = new AbortController();
    const before = (await system.inspect()).counters;
    for (let n = 0; n < 5; n += 1) await system.ask(a, 'echo', n, { inMs: 2_000, signal });
    assert.is(await codeOf(system.ask(a, 'nothing' as 'total', null, IN_2S)), 'unknown_kind');
    const parked = system.ask(a, 'slow', 300, IN_2S);
    assert.is(await codeOf(system.ask(a, 'total', null, { inMs: 50, signal })), 'ask_timeout');
    await parked;
    assert.is(getEventListeners(signal, 'abort').length, 0);
    const { counters } = await system.inspect();
    assert.is(counters.asks_open, before.asks_open);
    assert.is(Number(counters.asks_timed_out) - Number(before.asks_timed_out), 1);
  });

  it('A3 an ask that waits for its own asker is refused at once', async ({ system, events }) => {
    assert.is(await codeOf(system.ask(a, 'relay', { to: a, n: 1 }, IN_2S)), 'actor_crashed');
    // The reply and the event come by different lanes.
    const crash = await until('the crash is reported', () =>
      events.find((event) => event.type === 'actor.crashed'),
    );
    assert.is(crash.type === 'actor.crashed' ? crash.cause.code : '', 'ask_cycle');
  });

  it('L5 the outcome of a request is one message, with what it was about', async ({ system }) => {
    const notes = async () =>
      (await system.ask(trace, 'read', null, IN_2S)).filter((line) => line.startsWith('the total'));
    system.tell(a, 'add', 7);
    system.tell(life, 'requests', { of: a, inMs: 2_000 });
    system.tell(life, 'requests', { of: nobody, inMs: 2_000 });
    await until('both have come', async () => (await notes()).length === 2);
    system.tell(a, 'slow', 500);
    // Told by another thread, it would else overtake.
    await new Promise((resolve) => setTimeout(resolve, 50));
    system.tell(life, 'requests', { of: a, inMs: 50 });
    await until('the third has come', async () => (await notes()).length === 3);
    assert.equal((await notes()).sort(), [
      'the total: 7',
      'the total: actor_dead',
      'the total: ask_timeout',
    ]);
  });

  it('L2 the outcome of a request is dropped where its incarnation is over', async ({ system }) => {
    const stale = async () => Number((await system.inspect()).counters.stale_outcomes);
    const before = await stale();
    system.tell(life, 'requestsAndCrashes', a);
    await until('it is dropped', async () => (await stale()) === before + 1);
    const lines = await system.ask(trace, 'read', null, IN_2S);
    assert.not.ok(lines.some((line) => line.startsWith('the total')));
  });

  it('A5 who awaits its own deferred answer gets it, however often', async ({ system }) => {
    assert.is(await system.ask(life, 'awaitsDeferred', null, IN_2S), 'awaited, awaited');
  });

  it('A5 one deferred answer may be given to several askers', async ({ system }) => {
    const asks = [1, 2, 3].map(() => system.ask(life, 'together', null, IN_2S));
    assert.equal(await Promise.all(asks), ['the same', 'the same', 'the same']);
    assert.is((await system.inspect()).counters.asks_open, 0);
  });

  it('A5 a deferred answer that was given is not taken back by a crash', async ({ system }) => {
    const asks = [1, 2, 3].map(() => system.ask(life, 'together', null, IN_2S));
    // Asks of one thread come in order, and so does what follows them.
    system.tell(life, 'giveAndCrash', null);
    assert.equal(await Promise.all(asks), ['given', 'given', 'given']);
  });

  it('L5 A3 a request that cannot leave comes back too, past a full mailbox', async ({
    system,
  }) => {
    const notes = async () =>
      (await system.ask(trace, 'read', null, IN_2S)).filter((line) => line.startsWith('the ping'));
    system.tell(life, 'requestsOf', { of: life });
    for (let i = 0; i < 20; i += 1) system.tell(life, 'timer', 60_000);
    await until('it is back', async () => (await notes()).length === 1);
    assert.equal(await notes(), ['the ping: ask_cycle']);
  });

  it('A5 a deferred answer leaves the mailbox open, an awaited one parks it', async ({
    system,
  }) => {
    const later = system.ask(life, 'deferAnswer', 1_000, IN_2S);
    assert.is(await system.ask(life, 'ping', null, { inMs: 900 }), 1);
    assert.is(await later, 'later');
    const slow = system.ask(a, 'slow', 600, IN_2S);
    assert.is(await codeOf(system.ask(a, 'total', null, { inMs: 100 })), 'ask_timeout');
    await slow;
  });

  test.run();
}

const threads = suite('messages, between threads only');

threads(
  'an actor below one that was placed in a thread is reached from every other thread',
  async () => {
    const below = supervisor(
      'below',
      {
        strategy: 'one_for_one',
        intensity: 1,
        periodMs: 1_000,
        children: [child(counterActor, { id: 'n', args: { from: 5 } })],
      },
      { hash: 'b' },
    );
    await withTree('threads', { children: [...PAIR, below] }, async ({ system }) => {
      const n = refTo<CounterProtocol>('t', 'root/below/n');
      assert.is(await system.ask(n, 'total', null, IN_2S), 5);
      assert.is(await system.ask(a, 'relay', { to: n, n: 1 }, IN_2S), 6);
      const nobody = refTo<CounterProtocol>('t', 'root/below/nobody');
      assert.is(await codeOf(system.ask(nobody, 'total', null, IN_2S)), 'actor_dead');
    });
  },
);

threads('M8 a sender faster than its receiver is refused, and memory stays bounded', async () => {
  await withTree('threads', { children: PAIR }, async ({ system }) => {
    let refused = 0;
    let taken = 0;
    for (let i = 0; i < 40_000; i += 1) {
      if (system.tell(a, 'add', 1)) taken += 1;
      else refused += 1;
    }
    assert.ok(refused > 0, 'a synchronous flood must be refused');
    assert.ok(taken <= 1_024 + 8_192 + 256, `taken ${taken}`);
    await until('all that was taken has arrived', async () => {
      const total = await system.ask(a, 'total', null, IN_2S).catch(() => -1);
      return total === taken;
    });
  });
});

threads.run();

const references = suite('messages by reference');

async function echoed(options: { readonly checkMessages?: boolean }): Promise<{
  readonly sent: { readonly rows: number[] };
  readonly got: unknown;
}> {
  const system = await createSystem({ name: 't', threads: 'inline', ...options });
  try {
    const echo = system.spawn(child(counterActor, { id: 'echo', args: {} }));
    const sent = { rows: [1, 2], bytes: new Uint8Array(2), call: () => 1 };
    return { sent, got: await system.ask(echo, 'echo', sent, IN_2S) };
  } finally {
    await system.stop();
  }
}

references('M10 within a thread the payload itself arrives, frozen to its ends', async () => {
  const { sent, got } = await echoed({});
  assert.is(got, sent);
  assert.throws(() => sent.rows.push(3), /not extensible/);
});

references('a frozen ref finds nobody once its actor is gone', async () => {
  const team = child(teamActor, { id: 'team', args: {} });
  await withTree('inline', { children: [team] }, async ({ system }) => {
    const spec = child(counterActor, { id: 'mortal', args: {}, restart: 'temporary' });
    const ref = await system.ask(
      refTo<TeamProtocol>('t', 'root/team'),
      'spawn',
      spec as never,
      IN_2S,
    );
    const mortal = Object.freeze(ref as ActorRef<CounterProtocol>);
    await system.ask(mortal, 'echo', 1, IN_2S);
    system.tell(refTo<TeamProtocol>('t', 'root/team'), 'stopChild', 'mortal');
    await until(
      'it is gone',
      async () => !(await system.inspect()).actors.some(({ path }) => path.endsWith('mortal')),
    );
    assert.is(system.tell(mortal, 'echo', 1), false);
    const refused = await system.ask(mortal, 'echo', 1, IN_2S).then(
      () => '',
      (error: AskError) => error.code,
    );
    assert.is(refused, 'actor_dead');
  });
});

references('M10 in production nothing is frozen', async () => {
  const { sent, got } = await echoed({ checkMessages: false });
  assert.is(got, sent);
  assert.is(sent.rows.push(3), 3);
});

references.run();
