/** The router's table over a real memory store: what is committed, what is answered, what the sessions hear. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CommitReply, CommitRequest } from '../../../actors/ledger/protocol.ts';
import { routerActor } from '../../../actors/router/actor.ts';
import type { AdmitReply } from '../../../actors/router/protocol.ts';
import { inboxKey, parseInboxKey, parseInboxRow } from '../../../actors/router/rows.ts';
import type { RoutedRun } from '../../../actors/sessions/protocol.ts';
import type { InboundOffer } from '../../../proto/channel-messages.ts';
import { isUlid } from '../../../proto/ids.ts';
import { AskError } from '../../../runtime/errors.ts';
import { decodeRow } from '../../../runtime/store/encoding.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ScanQuery } from '../../../runtime/store/store.ts';
import {
  type BehaviorKitOptions,
  createBehaviorKit,
} from '../../../runtime/testing/behavior-kit.ts';
import { OPEN_RULES, on, request } from '../sessions/story-fakes.ts';

const test = suite('actors/router');

const ONE = 'channel:echo:default:conversation:one';
const ARGS = {
  ledger: { address: 'test/ledger' },
  sessions: { address: 'test/sessions' },
  rules: OPEN_RULES,
};

type Answer = (payload: CommitRequest) => Promise<CommitReply> | CommitReply;

async function openRouter(
  options: BehaviorKitOptions = {},
  store = createMemoryStore(),
  limits: { readonly maxOpenRuns?: number } = {},
) {
  const script: { commit: Answer | undefined } = { commit: undefined };
  const reads: string[] = [];
  let seed = 0;
  const deps = {
    randomBytes: (size: number) => {
      seed += 1;
      return new Uint8Array(size).fill(seed);
    },
  };
  const commit = async ({ changes }: CommitRequest) => {
    // A copy, as over a link.
    const [outcome] = await store.commit([structuredClone(changes)], 0);
    if (outcome === undefined) throw new Error('no outcome');
    return outcome;
  };
  const kit = await createBehaviorKit(routerActor, { ...ARGS, ...limits }, deps, {
    ...options,
    answer: (_to, kind, payload) => {
      if (kind === 'keys') return store.keys(payload as ScanQuery);
      if (kind === 'commit') return (script.commit ?? commit)(payload as CommitRequest);
      const { table, key } = payload as { table: string; key: string };
      reads.push(key);
      const stored = store.read(table, key);
      return stored === undefined ? [] : [stored];
    },
  });
  const admit = async (admitted = request('one', 'n1')) => {
    const reply = kit.receive('admit', admitted) as Promise<AdmitReply>;
    await kit.settle();
    return reply;
  };
  const tells = () => kit.take().flatMap((effect) => (effect.type === 'tell' ? [effect] : []));
  return { kit, store, script, admit, tells, commit, reads };
}

function openRuns({ receive }: Awaited<ReturnType<typeof openRouter>>['kit']) {
  const metrics = receive('metrics', null) as { name: string; samples: { value: number }[] }[];
  return metrics.find(({ name }) => name === 'palyra_router_open_runs')?.samples[0]?.value;
}

test('an accepted event is durable with its run before the sender and the sessions hear of it', async () => {
  const { kit, store, admit, tells } = await openRouter();
  const reply = await admit();
  assert.is(reply.type, 'accepted');
  if (reply.type !== 'accepted') return;
  assert.ok(isUlid(reply.envelopeId));
  const { envelopeId } = reply;
  const { offer, replyTo } = request('one', 'n1');
  const { nativeId: _native, ...event } = { ...offer, envelopeId };
  const row = {
    v: 1,
    event,
    replyTo,
    responsePrefix: '',
    trace: 'trace-n1',
    attempts: 0,
    crashes: 0,
    processEnds: 0,
  };
  const stored = store.read('inbox', inboxKey(ONE, envelopeId)) ?? { revision: 0, row: { v: 0 } };
  assert.equal(parseInboxRow(stored, envelopeId), { revision: 1, row });
  assert.is(store.keys({ table: 'inbox', limit: 5 }).keys.length, 1);
  assert.equal(store.keys({ table: 'runs', limit: 5 }).keys, []);
  assert.is(store.read('dedupe', 'echo:default\0n1')?.row.envelopeId, envelopeId);
  const [told] = tells();
  assert.is(told?.kind, 'routed');
  const run = told?.payload as RoutedRun;
  assert.equal(
    { ...run, row: decodeRow(run.row) },
    {
      sessionKey: ONE,
      envelopeId,
      after: '',
      row: stored,
    },
  );
  assert.is(kit.self.trace, 'trace-n1');
});

test('one fact says that an event was accepted, by whom, for which session, and whether it is answered', async () => {
  const { store, admit } = await openRouter();
  await admit(request('one', 'n1', 'hällo'));
  await admit({ ...request('one', 'n2'), replyTo: null });
  const facts = store.journal(0, 10).flatMap((entry) => entry.facts);
  assert.equal(
    facts.map((fact) => fact.type),
    ['message.accepted', 'message.accepted'],
  );
  const [first, second] = facts;
  assert.equal(first, {
    type: 'message.accepted',
    envelopeId: store.read('dedupe', 'echo:default\0n1')?.row.envelopeId,
    channel: 'echo:default',
    nativeId: 'n1',
    sessionKey: ONE,
    bodyBytes: 6,
    bodySha256: request('one', 'n1', 'hällo').bodySha256,
    replies: true,
    trace: 'trace-n1',
  });
  assert.is(second?.replies, false);
  const [, toTape] = store.scan({ table: 'inbox', limit: 5 }).rows;
  assert.is(toTape?.row.replyTo, undefined);
});

test('an event that no store takes is refused, and the next one is admitted', async () => {
  const { kit, store, admit } = await openRouter();
  const busy = { type: 'refused', code: 'busy', retryAfterMs: 1_000 };
  const illFormed = request('one', 'bad\ud800');
  assert.equal(await admit(illFormed), busy);
  const unplain = { ...request('one', 'n1'), trace: Symbol('trace') as unknown as string };
  assert.equal(await admit(unplain), busy);
  assert.is(openRuns(kit), 0);
  assert.equal(store.keys({ table: 'inbox', limit: 5 }).keys, []);
  assert.is((await admit()).type, 'accepted');
});

test('no fact carries the text of a message', async () => {
  const { store, admit } = await openRouter();
  await admit(request('one', 'n1', 'a very private body'));
  assert.not.match(JSON.stringify(store.journal(0, 10)), 'private');
});

test('the same native id again is a duplicate, with another body a conflict', async () => {
  const { admit, tells } = await openRouter();
  const first = await admit();
  assert.equal(await admit(), {
    type: 'duplicate',
    envelopeId: 'envelopeId' in first ? first.envelopeId : '',
  });
  assert.equal(await admit(request('one', 'n1', 'other')), { type: 'conflict' });
  assert.is(tells().length, 1);
});

test('two admits at once with one native id make exactly one run', async () => {
  const { kit, store } = await openRouter();
  const replies = [1, 2].map(
    () => kit.receive('admit', request('one', 'n1')) as Promise<AdmitReply>,
  );
  await kit.settle();
  const types = (await Promise.all(replies)).map((reply) => reply.type).sort();
  assert.equal(types, ['accepted', 'duplicate']);
  assert.is(store.scan({ table: 'inbox', limit: 5 }).rows.length, 1);
});

test('a rejection is durable with its reason, keeps no event, and is said again to its repeat', async () => {
  const { store, admit, tells } = await openRouter();
  const empty: InboundOffer = { ...request('one', 'n1').offer, body: ' ' };
  const reply = await admit({ ...request('one', 'n1'), offer: empty });
  assert.is(reply.type === 'rejected' && reply.reason, 'message_empty');
  assert.is(store.scan({ table: 'inbox', limit: 5 }).rows.length, 0);
  const facts = store.journal(0, 10).flatMap((entry) => entry.facts);
  assert.equal(facts, [
    {
      type: 'message.rejected',
      envelopeId: reply.type === 'rejected' ? reply.envelopeId : '',
      channel: 'echo:default',
      nativeId: 'n1',
      bodyBytes: 1,
      bodySha256: request('one', 'n1').bodySha256,
      reason: 'message_empty',
      trace: 'trace-n1',
    },
  ]);
  assert.equal(await admit({ ...request('one', 'n1'), offer: empty }), reply);
  assert.equal(await admit(request('one', 'n1', 'other')), { type: 'conflict' });
  assert.is(tells().length, 0);
});

test('a ledger that is busy or low on storage is passed on as it says', async () => {
  const { admit, script } = await openRouter();
  script.commit = () => ({ ok: false, code: 'storage_low', retryAfterMs: 5_000 });
  assert.equal(await admit(), { type: 'refused', code: 'storage_low', retryAfterMs: 5_000 });
  script.commit = () => ({ ok: false, code: 'busy', retryAfterMs: 70 });
  assert.equal(await admit(), { type: 'refused', code: 'busy', retryAfterMs: 70 });
  script.commit = undefined;
  assert.is((await admit()).type, 'accepted');
});

test('where there is no room, an event that came before still hears what became of it', async () => {
  const { admit, script } = await openRouter();
  const blank = (id: string) => {
    const wanted = request('one', id);
    return { ...wanted, offer: { ...wanted.offer, body: ' ' } };
  };
  const first = await admit();
  assert.is((await admit(blank('n2'))).type, 'rejected');
  const envelopeId = 'envelopeId' in first ? first.envelopeId : '';
  const heard = async () => {
    assert.equal(await admit(), { type: 'duplicate', envelopeId });
    assert.is((await admit(request('one', 'n1', 'other'))).type, 'conflict');
    assert.is((await admit(blank('n2'))).type, 'rejected');
    const news = await admit(request('one', 'news'));
    return news.type === 'refused' ? news.code : news.type;
  };
  script.commit = () => ({ ok: false, code: 'storage_low', retryAfterMs: 5_000 });
  assert.is(await heard(), 'storage_low');
  script.commit = undefined;
  for (let i = 1; i < 1_000; i += 1) await admit(request('one', `f${i}`));
  assert.is(await heard(), 'conversation_busy');
});

test('a channel that floods is refused beyond its share, and another one is not, also after a restart', async () => {
  const limits = { maxOpenRuns: 10 };
  const before = await openRouter({}, createMemoryStore(), limits);
  const typesOf = async (
    { admit }: typeof before,
    channel: string,
    name: string,
    count: number,
  ) => {
    const replies = [];
    for (let i = 0; i < count; i += 1)
      replies.push(await admit(on(channel, request(`${i}`, `${name}${i}`))));
    return replies.map((reply) => (reply.type === 'refused' ? reply.code : reply.type));
  };
  const flood = await typesOf(before, 'webhook:flood', 'f', 10);
  assert.equal(flood, [...Array(8).fill('accepted'), 'busy', 'busy']);
  assert.equal(await typesOf(before, 'webhook:quiet', 'q', 1), ['accepted']);
  const after = await openRouter({}, before.store, limits);
  assert.is(openRuns(after.kit), 9);
  assert.equal(await typesOf(after, 'webhook:flood', 'g', 1), ['busy']);
  assert.equal(await typesOf(after, 'webhook:quiet', 'r', 1), ['accepted']);
});

test('an event that a rule turns away takes no place, so it is refused for none', async () => {
  const { admit } = await openRouter({}, createMemoryStore(), { maxOpenRuns: 1 });
  await admit();
  const wanted = request('two', 'n2');
  const blank = { ...wanted, offer: { ...wanted.offer, body: ' ' } };
  assert.is((await admit(blank)).type, 'rejected');
});

test('a flood that is refused reads 256 rows at a time and no more', async () => {
  const { kit, admit, reads } = await openRouter();
  for (let i = 0; i < 1_000; i += 1) await admit(request('full', `f${i}`));
  reads.splice(0);
  const flood = Array.from({ length: 1_000 }, (_, i) =>
    kit.receive('admit', request('full', `late${i}`)),
  );
  assert.is(reads.length, 256);
  await kit.settle();
  const replies = (await Promise.all(flood)) as AdmitReply[];
  assert.ok(replies.every((reply) => reply.type === 'refused'));
  kit.receive('admit', request('full', 'later'));
  assert.is(reads.length, 257);
  await kit.settle();
});

test('a commit without an answer is refused, and the run is found if it became durable', async () => {
  const { kit, admit, script, commit, tells } = await openRouter();
  script.commit = async (payload) => {
    await commit(payload);
    throw new AskError('ask_timeout', 'test/ledger', 'commit');
  };
  assert.is((await admit()).type, 'refused');
  assert.is(tells().length, 0);
  await kit.advance(1_000);
  await kit.settle();
  assert.equal(
    tells().map((effect) => effect.kind),
    ['reconcile'],
  );
  script.commit = undefined;
  assert.is((await admit()).type, 'duplicate');
});

test('a commit that came to nothing unheard gives its place back once the ledger says so', async () => {
  const { kit, admit, script, store, tells } = await openRouter();
  script.commit = () => {
    throw new AskError('ask_timeout', 'test/ledger', 'commit');
  };
  assert.is((await admit()).type, 'refused');
  assert.is(openRuns(kit), 1);
  await kit.advance(1_000);
  await kit.settle();
  assert.is(openRuns(kit), 0);
  assert.equal([tells(), store.health().commits], [[], 0]);
});

test('a conversation with 1,000 open runs is refused until one ends; others are not', async () => {
  const { kit, admit } = await openRouter();
  let envelopeId = '';
  for (let i = 0; i < 1_000; i += 1) {
    const reply = await admit(request('full', `f${i}`));
    if (reply.type === 'accepted') envelopeId = reply.envelopeId;
  }
  const refused = await admit(request('full', 'late'));
  assert.is(refused.type === 'refused' && refused.code, 'conversation_busy');
  assert.is((await admit(request('other', 'o1'))).type, 'accepted');
  const sessionKey = 'channel:echo:default:conversation:full';
  kit.receive('runEnded', { sessionKey, envelopeId });
  kit.receive('runEnded', { sessionKey, envelopeId });
  assert.is((await admit(request('full', 'late'))).type, 'accepted');
  assert.is((await admit(request('full', 'later'))).type, 'refused');
});

test('a full conversation opens again by itself when the word of its ends was lost', async () => {
  const { admit, store } = await openRouter();
  for (let i = 0; i < 1_000; i += 1) await admit(request('full', `f${i}`));
  const { keys } = store.keys({ table: 'inbox', limit: 1_000 });
  assert.is(keys.length, 1_000);
  const remove = keys.map((key) => ({ table: 'inbox', key }));
  await store.commit([{ expect: [], put: [], remove, facts: [] }], 0);
  assert.is((await admit(request('full', 'late'))).type, 'refused');
  assert.is((await admit(request('full', 'late'))).type, 'accepted');
});

test('a restarted router counts the open runs anew and has the sessions look for lost ones', async () => {
  const first = await openRouter();
  await first.admit(request('one', 'n1'));
  const later = { incarnation: 2, wallMs: 1_000 };
  const { kit, admit, tells } = await openRouter(later, first.store);
  assert.is(tells()[0]?.kind, 'reconcile');
  assert.is(openRuns(kit), 1);
  // The wall clock went back: the new envelope still sorts after the open one.
  await admit(request('one', 'n2'));
  const { rows } = first.store.scan({ table: 'inbox', limit: 5 });
  assert.equal(
    rows.map(({ revision, row }) => [revision, row.trace]),
    [
      [1, 'trace-n1'],
      [2, 'trace-n2'],
    ],
  );
  const told = tells().find((effect) => effect.kind === 'routed')?.payload as RoutedRun;
  assert.is(told.after, parseInboxKey(rows[0]?.key ?? '').envelopeId);
});

test('sessions that refuse a word are reminded until they take it', async () => {
  let takes = false;
  const { kit, admit, tells } = await openRouter({ takes: () => takes });
  await admit();
  await kit.advance(1_000);
  assert.ok(tells().length > 2);
  takes = true;
  await kit.advance(10_000);
  assert.equal(
    tells().map((effect) => effect.kind),
    ['reconcile'],
  );
});

test('explain says what admit would do and changes nothing', async () => {
  const { kit, store } = await openRouter();
  const { offer } = request('one', 'n1');
  const explained = kit.receive('explain', offer) as { accepted: boolean; steps: unknown[] };
  assert.is(explained.accepted, true);
  assert.ok(explained.steps.length > 5);
  assert.is(store.health().commits, 0);
});

test.run();
