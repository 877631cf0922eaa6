/** Router, sessions and runs together over one store, under crashes and silence at random moments. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AdmitReply } from '../../../actors/router/protocol.ts';
import { INBOX, parseInboxKey } from '../../../actors/router/rows.ts';
import { DEFAULT_HISTORY_LIMITS } from '../../../actors/sessions/history.ts';
import { SessionMemory } from '../../../actors/sessions/session-memory.ts';
import type { Model } from '../../../connectors/models/model.ts';
import type { Metric } from '../../../proto/control/owner.ts';
import { type EnvelopeId, runIdOf } from '../../../proto/ids.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { Store } from '../../../runtime/store/store.ts';
import type { SeededWorld } from './seeded-world.ts';
import { factsOf, on, request, type StoryDeps, send, startStory } from './story-fakes.ts';

const test = suite('actors/sessions/story');

const WALL_MS = 1_800_000_000_000;
const RUNS = 60;

/** xorshift32: small, seeded, the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  };
}

const echo: Model = {
  answer: async ({ turns }) => ({
    type: 'answer',
    text: `${turns.filter((turn) => turn.role === 'user').length}: ${turns.at(-1)?.text ?? ''}`,
    promptTokens: 1,
    completionTokens: 1,
  }),
};

/** Answers, fails for a while, or never answers, by the seed. */
function moody(random: () => number): Model {
  return {
    async answer(request, options) {
      const mood = random();
      if (mood < 0.1) return { type: 'transient', reason: 'http_503' };
      if (mood < 0.13) return { type: 'permanent', reason: 'http_400' };
      if (mood < 0.16) throw new Error('reset');
      if (mood < 0.19) return new Promise(() => undefined);
      return echo.answer(request, options);
    },
  };
}

function createDeps(seed: number, model?: Model, sessionMemory = new SessionMemory()): StoryDeps {
  const random = seeded(seed);
  const chosen = model ?? moody(random);
  return {
    store: createMemoryStore(),
    random,
    faults: { busy: 0, silent: 0, slowMs: 5 },
    openModel: async () => chosen,
    randomBytes: (size) => Uint8Array.from({ length: size }, () => Math.floor(random() * 256)),
    sessionMemory,
    historyLimits: DEFAULT_HISTORY_LIMITS,
  };
}

const openRuns = (store: Store) => store.keys({ table: 'inbox', limit: 10 }).keys.length;

async function finishAll(world: SeededWorld, store: Store, answers: AdmitReply[][]) {
  await world.until(() => answers.every((told) => told.length > 0), 'every sender was answered');
  await world.until(() => openRuns(store) === 0, 'every run has ended');
}

test('a session answers with its earlier turns in view, one message after the other', async () => {
  const deps = createDeps(7, echo);
  const world = startStory(deps, WALL_MS);
  for (const text of ['a', 'b', 'c']) {
    const told = send(world, text, request('one', text));
    await finishAll(world, deps.store, [told]);
  }
  const texts = deps.store
    .scan({ table: 'deliveries', limit: 10 })
    .rows.map(({ row }) => row.text)
    .sort();
  assert.equal(texts, ['1: a', '2: b', '3: c']);
  const tape = (await world.call('test/sessions', 'operate', {
    operation: 'runs.get',
    input: { run_id: factsOf(deps.store, 'run.finished')[0]?.runId },
    principal: 'test',
  })) as { output: { status: string; tape: { type: string; text: string }[] } };
  assert.is(tape.output.status, 'done');
  assert.equal(
    tape.output.tape.map(({ type, text }) => `${type} ${text}`),
    ['message.received a', 'message.replied 1: a', 'status done'],
  );
});

test('idle sessions are stopped, and a new message brings them back with their turns', async () => {
  const deps = createDeps(9, echo);
  const world = startStory(deps, WALL_MS);
  await finishAll(world, deps.store, [send(world, 'a', request('one', 'a'))]);
  const live = () => world.paths().filter((path) => /\/s-[^/]+$/.test(path)).length;
  assert.is(live(), 1);
  await world.advance(90_000);
  assert.is(live(), 0);
  await finishAll(world, deps.store, [send(world, 'b', request('one', 'b'))]);
  const texts = deps.store.scan({ table: 'deliveries', limit: 10 }).rows.map(({ row }) => row.text);
  assert.ok(texts.includes('2: b'));
});

test('sessions that hold too much give back what they used longest ago, and read it again for their next run', async () => {
  const memory = new SessionMemory(600_000);
  const deps = createDeps(17, echo, memory);
  const world = startStory(deps, WALL_MS);
  const conversations = Array.from({ length: 12 }, (_, i) => `c${i}`);
  let most = 0;
  for (const round of [1, 2, 3]) {
    const told = conversations.map((conversation) => {
      const admit = request(conversation, `${conversation}-${round}`, 'x'.repeat(30_000));
      return send(world, `${conversation}-${round}`, admit);
    });
    await world.until(() => {
      most = Math.max(most, memory.bytes);
      return factsOf(deps.store, 'run.finished').length === round * 12;
    }, 'every run has ended');
    assert.is(told.filter(([answer]) => answer?.type === 'accepted').length, 12);
  }
  assert.ok(most > 500_000 && most <= 600_000, `${most}`);
  const texts = deps.store
    .scan({ table: 'deliveries', limit: 100 })
    .rows.map(({ row }) => row.text);
  for (const seen of [1, 2, 3]) {
    assert.is(texts.filter((text) => String(text).startsWith(`${seen}: `)).length, 12);
  }
  const metrics = (await world.call('test/sessions', 'metrics', null)) as Metric[];
  const counted = (name: string) =>
    metrics.find((one) => one.name === name)?.samples[0]?.value ?? 0;
  assert.ok(counted('palyra_session_texts_given_back_total') >= 12);
  assert.ok(counted('palyra_session_given_back_bytes_total') >= 12 * 60_000);
});

test('with room for two sessions, twenty conversations are all served', async () => {
  const deps = createDeps(11, echo);
  const world = startStory(deps, WALL_MS, { maxLive: 2 });
  const told = Array.from({ length: 20 }, (_, i) =>
    send(world, `m${i}`, request(`conversation-${i}`, `m${i}`)),
  );
  await finishAll(world, deps.store, told);
  assert.is(factsOf(deps.store, 'run.finished').length, 20);
});

test('an integration that floods keeps another one neither from being accepted nor from being answered', async () => {
  const held: (() => void)[] = [];
  const slow: Model = {
    async answer(asked, options) {
      const isFlood = asked.turns.at(-1)?.text.startsWith('flood') === true;
      if (isFlood) await new Promise<void>((resolve) => held.push(resolve));
      return echo.answer(asked, options);
    },
  };
  const deps = createDeps(15, slow);
  const world = startStory(deps, WALL_MS, { maxLive: 10, maxOpenRuns: 20 });
  const flood = Array.from({ length: 40 }, (_, i) =>
    send(world, `f${i}`, on('webhook:flood', request(`c${i}`, `flood-${i}`))),
  );
  const accepted = () => flood.filter((told) => told.length > 0).length;
  await world.until(() => accepted() === 16 && held.length === 8, 'the flood has its share');
  for (const i of [1, 2, 3]) {
    const quiet = send(world, `q${i}`, on('webhook:quiet', request('c', `quiet-${i}`)));
    await world.until(() => factsOf(deps.store, 'run.finished').length === i, 'it was answered');
    assert.is(quiet[0]?.type, 'accepted');
  }
  assert.equal([accepted(), held.length], [16, 8]);
  const isOver = () => factsOf(deps.store, 'run.finished').length === 43;
  const releasing = () => {
    for (const release of held.splice(0)) release();
    return isOver();
  };
  await world.until(releasing, 'the flood was answered too');
});

test('a run that crashes twice is quarantined, and its conversation is told', async () => {
  const never: Model = { answer: () => new Promise(() => undefined) };
  const deps = createDeps(13, never);
  const world = startStory(deps, WALL_MS);
  const told = send(world, 'a', request('one', 'a'));
  const run = () => world.paths().find((path) => /\/s-[^/]+\/[^/]+$/.test(path)) ?? '';
  for (let crashes = 0; crashes < 2; crashes += 1) {
    await world.until(() => run() !== '', 'a run is under way');
    world.crash(run());
  }
  await finishAll(world, deps.store, [told]);
  const [ended] = factsOf(deps.store, 'run.finished');
  assert.is(ended?.status, 'quarantined');
  const [delivery] = deps.store.scan({ table: 'deliveries', limit: 10 }).rows;
  assert.match(String(delivery?.row.text), 'crashed_repeatedly');
});

test('a session killed twice while its run is the culprit quarantines the run, durably', async () => {
  const never: Model = { answer: () => new Promise(() => undefined) };
  const deps = createDeps(15, never);
  const world = startStory(deps, WALL_MS);
  const told = send(world, 'a', request('one', 'a'));
  const run = () => world.paths().find((path) => /\/s-[^/]+\/[^/]+$/.test(path)) ?? '';
  for (let crashes = 0; crashes < 2; crashes += 1) {
    await world.until(() => run() !== '', 'a run is under way');
    const [key = ''] = deps.store.keys({ table: 'inbox', limit: 1 }).keys;
    const subject = runIdOf(parseInboxKey(key).envelopeId as EnvelopeId);
    const session = run().slice(0, run().lastIndexOf('/'));
    world.crash(session, { kind: 'thread-lost', code: 'thread_stalled', culprit: true, subject });
  }
  await finishAll(world, deps.store, [told]);
  assert.is(factsOf(deps.store, 'run.finished')[0]?.status, 'quarantined');
});

test('a session killed twice by the very message of a run quarantines that run', async () => {
  const never: Model = { answer: () => new Promise(() => undefined) };
  const deps = createDeps(16, never);
  const world = startStory(deps, WALL_MS);
  const told = send(world, 'a', request('one', 'a'));
  const session = () => world.paths().find((path) => /\/s-[^/]+$/.test(path)) ?? '';
  const begun = () => world.paths().some((path) => /\/s-[^/]+\/[^/]+$/.test(path));
  for (let crashes = 0; crashes < 2; crashes += 1) {
    await world.until(() => begun(), 'a run is under way');
    const [key = ''] = deps.store.keys({ table: INBOX, limit: 1 }).keys;
    // What `enqueue` names: the envelope, not the run.
    const subject = parseInboxKey(key).envelopeId;
    world.crash(session(), { kind: 'thread-lost', code: 'thread_stalled', culprit: true, subject });
  }
  await finishAll(world, deps.store, [told]);
  assert.is(factsOf(deps.store, 'run.finished')[0]?.status, 'quarantined');
  assert.is(factsOf(deps.store, 'run.cut').filter(({ blamed }) => blamed === true).length, 2);
});

test('a session lost beside a culprit makes its run again and blames nobody', async () => {
  const deps = createDeps(17, echo);
  const world = startStory(deps, WALL_MS);
  const told = send(world, 'a', request('one', 'a'));
  const session = () => world.paths().find((path) => path.startsWith('test/sessions/s-')) ?? '';
  for (let losses = 0; losses < 5; losses += 1) {
    await world.until(() => session() !== '' || openRuns(deps.store) === 0, 'a session lives');
    world.crash(session(), { kind: 'thread-lost', code: 'thread_exit', culprit: false });
  }
  await finishAll(world, deps.store, [told]);
  assert.is(factsOf(deps.store, 'run.finished')[0]?.status, 'done');
});

type Op =
  | { readonly type: 'send'; readonly conversation: number; readonly native: number }
  | { readonly type: 'crash'; readonly which: number }
  | { readonly type: 'kill' }
  | {
      readonly type: 'faults';
      readonly busy: number;
      readonly silent: number;
      readonly slowMs: number;
    }
  | { readonly type: 'steps'; readonly count: number };

const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      conversation: fc.nat(2),
      native: fc.nat(30),
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('steps' as const), count: fc.nat(60) }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('crash' as const), which: fc.nat(1_000) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('kill' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('faults' as const),
      busy: fc.constantFrom(0, 0.3),
      silent: fc.constantFrom(0, 0.2),
      slowMs: fc.constantFrom(0, 20, 2_000, 8_000),
    }),
  },
);

interface Story {
  readonly deps: StoryDeps;
  readonly told: Map<
    string,
    { readonly admit: ReturnType<typeof request>; readonly answers: AdmitReply[] }
  >;
  world: SeededWorld;
  lives: number;
}

async function play(story: Story, step: Op): Promise<void> {
  const { deps, told } = story;
  switch (step.type) {
    case 'send': {
      const native = `${step.conversation}-${step.native}`;
      const admit = request(`conversation-${step.conversation}`, native);
      const id = `sender-${told.size}`;
      told.set(id, { admit, answers: send(story.world, id, admit) });
      return;
    }
    case 'steps':
      for (let i = 0; i < step.count; i += 1) await story.world.step();
      return;
    case 'crash': {
      const mortal = story.world
        .paths()
        .filter((path) => path === 'test/router' || path.startsWith('test/sessions'));
      const path = mortal[step.which % Math.max(1, mortal.length)];
      if (path !== undefined) story.world.crash(path);
      return;
    }
    case 'kill': {
      story.world.kill();
      story.lives += 1;
      story.world = startStory(deps, WALL_MS + story.lives * 1_000_000);
      for (const [id, { admit, answers }] of told) {
        if (answers.length > 0) continue;
        told.set(id, { admit, answers: send(story.world, id, admit) });
      }
      return;
    }
    case 'faults':
      deps.faults.busy = step.busy;
      deps.faults.silent = step.silent;
      deps.faults.slowMs = step.slowMs;
      return;
  }
}

function check({ deps, told }: Story): void {
  const accepted = factsOf(deps.store, 'message.accepted');
  const natives = accepted.map((fact) => fact.nativeId);
  assert.is(new Set(natives).size, natives.length, 'a native id was accepted twice');
  const finished = factsOf(deps.store, 'run.finished');
  const ended = finished.map((fact) => fact.envelopeId);
  assert.is(new Set(ended).size, ended.length, 'an envelope was finished twice');
  assert.equal([...ended].sort(), accepted.map((fact) => fact.envelopeId).sort());
  for (const sessionKey of new Set(accepted.map((fact) => fact.sessionKey))) {
    const order = (facts: typeof accepted) =>
      facts.filter((fact) => fact.sessionKey === sessionKey).map((fact) => fact.envelopeId);
    assert.equal(order(finished), order(accepted), `order in ${sessionKey}`);
  }
  for (const { admit, answers } of told.values()) {
    const [answer] = answers;
    const fact = accepted.find((found) => found.nativeId === admit.offer.nativeId);
    assert.ok(answer !== undefined && 'envelopeId' in answer);
    if ('envelopeId' in answer) assert.is(answer.envelopeId, fact?.envelopeId);
  }
  const replies = deps.store.scan({ table: 'deliveries', limit: 1_000 }).rows;
  assert.is(replies.length, finished.length);
  const runs = deps.store.keys({ table: 'runs', limit: 1_000 }).keys;
  assert.equal([...runs].sort(), finished.map((fact) => fact.runId).sort());
  assert.is(openRuns(deps.store), 0);
}

test('whatever crashes and whenever, each accepted event ends in one finish, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(op, { minLength: 5, maxLength: 40 }),
      fc.integer(),
      async (ops, seed) => {
        const deps = createDeps(seed, undefined, new SessionMemory(50));
        const story: Story = { deps, told: new Map(), world: startStory(deps, WALL_MS), lives: 0 };
        for (const step of ops) await play(story, step);
        deps.faults.busy = 0;
        deps.faults.silent = 0;
        deps.faults.slowMs = 5;
        const answers = [...story.told.values()].map((sender) => sender.answers);
        await finishAll(story.world, deps.store, answers);
        check(story);
        await story.world.advance(130_000);
        const { runs } = (await story.world.call('test/sessions', 'open', null)) as {
          runs: number;
        };
        assert.is(runs, 0, 'the dispatcher thinks a run is open');
        story.world.kill();
      },
    ),
    { numRuns: RUNS, verbose: 1 },
  );
});

test.run();
