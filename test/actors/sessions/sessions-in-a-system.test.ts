/** Router, sessions and runs among real neighbours: kernel, threads, ledger and outbox. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ledgerActor } from '../../../actors/ledger/actor.ts';
import type { LedgerProtocol } from '../../../actors/ledger/protocol.ts';
import { outboxActor } from '../../../actors/outbox/actor.ts';
import type { OutboxProtocol } from '../../../actors/outbox/protocol.ts';
import { routerActor } from '../../../actors/router/actor.ts';
import type { RouterProtocol } from '../../../actors/router/protocol.ts';
import { runActor } from '../../../actors/runs/actor.ts';
import { sessionsActor } from '../../../actors/sessions/actor.ts';
import type { SessionsProtocol } from '../../../actors/sessions/protocol.ts';
import { RUNS } from '../../../actors/sessions/rows.ts';
import { threadGroups } from '../../../actors/tree.ts';
import { type EnvelopeId, runIdOf } from '../../../proto/ids.ts';
import { child, refTo } from '../../../runtime/actor.ts';
import type { ChildSpec } from '../../../runtime/child-spec.ts';
import {
  createSystem,
  type System,
  type SystemOptions,
  supervisor,
} from '../../../runtime/index.ts';
import { until, within } from '../../support/within.ts';
import { OPEN_RULES, request } from './story-fakes.ts';

const test = suite('actors/sessions in a system');

const SOON = { inMs: 10_000 };
const ledger = refTo<LedgerProtocol>('t', 'root/ledger');
const outbox = refTo<OutboxProtocol>('t', 'root/outbox');
const router = refTo<RouterProtocol>('t', 'root/router');
const sessions = refTo<SessionsProtocol>('t', 'root/sessions');

async function withSystem(
  threads: SystemOptions['threads'],
  work: (system: System) => Promise<void>,
) {
  const module = new URL('./system-setup.js', import.meta.url).href;
  const system = await createSystem({
    name: 't',
    threads,
    thread: { module, export: 'setup', args: null },
  });
  const run = { module: runActor.module, export: runActor.export };
  const children = [
    child(ledgerActor, { id: 'ledger', args: { retention: [] } }),
    child(outboxActor, { id: 'outbox', args: { ledger, sessions } }),
    child(routerActor, { id: 'router', args: { ledger, sessions, rules: OPEN_RULES } }),
    child(sessionsActor, { id: 'sessions', args: { ledger, outbox, router, run } }),
  ] as readonly ChildSpec<unknown, unknown>[];
  const strategy = { strategy: 'one_for_one', intensity: 100, periodMs: 10_000 } as const;
  try {
    const root = system.spawn(supervisor('root', { ...strategy, children }));
    await within('the tree has started', system.started(root));
    await work(system);
  } finally {
    await within('the system has stopped', system.stop({ deadlineMs: 4_000 }), 10_000);
  }
}

async function admit(system: System, conversation: string, text: string): Promise<string> {
  const toTape = { ...request(conversation, `${conversation}-${text}`, text), replyTo: null };
  const reply = await system.ask(router, 'admit', toTape, SOON);
  if (reply.type !== 'accepted') throw new Error(`not accepted: ${reply.type}`);
  return runIdOf(reply.envelopeId as EnvelopeId);
}

/** Undefined while it is open. */
async function statusOf(system: System, runId: string): Promise<unknown> {
  const [stored] = await system.ask(ledger, 'read', { table: RUNS, key: runId }, SOON);
  return stored?.row.status;
}

async function replyOf(system: System, runId: string) {
  const [stored] = await system.ask(ledger, 'read', { table: RUNS, key: runId }, SOON);
  const tape = stored?.row.tape as readonly { readonly text: string }[] | undefined;
  return String(tape?.[1]?.text);
}

const hasEnded = (system: System, runId: string) => async () =>
  (await statusOf(system, runId)) !== undefined;

for (const [name, threads] of [
  ['inline', 'inline'],
  ['on two pool threads', { pool: 2 }],
] as const) {
  test(`${name}: thirty conversations are answered in order, each with its earlier turns`, () =>
    withSystem(threads, async (system) => {
      const conversations = Array.from({ length: 30 }, (_, i) => `c${i}`);
      const last = await Promise.all(
        conversations.map(async (conversation) => {
          await admit(system, conversation, 'one');
          await admit(system, conversation, 'two');
          return admit(system, conversation, 'three');
        }),
      );
      for (const runId of last) {
        await until('the last run has ended', hasEnded(system, runId), 20_000);
        assert.is(await replyOf(system, runId), 'one two three');
      }
      await until('no run is open', async () => {
        const { runs } = await system.ask(sessions, 'open', null, SOON);
        return runs === 0;
      });
    }));
}

test('sessions and their runs are on the threads that the webhooks have not, and on all of those', () =>
  withSystem({ pool: 3, groups: threadGroups(3) }, async (system) => {
    const conversations = Array.from({ length: 30 }, (_, i) => `c${i}`);
    const runs = await Promise.all(conversations.map((name) => admit(system, name, 'hello')));
    for (const runId of runs) {
      await until('the run has ended', hasEnded(system, runId), 20_000);
    }
    const { actors } = await system.inspect();
    const below = actors.filter(({ path }) => path.includes('/sessions/'));
    assert.is(below.length, 60, 'a session and the one that makes its runs');
    assert.equal([...new Set(below.map(({ thread }) => thread))].sort(), ['pool-1', 'pool-2']);
  }));

test('a message that ends its thread twice is quarantined; its neighbours and its session go on', () =>
  withSystem({ pool: 2 }, async (system) => {
    const poison = await admit(system, 'bad', 'exit');
    const after = await admit(system, 'bad', 'still here');
    const others = await Promise.all(
      ['x', 'y', 'z', 'u'].map((conversation) => admit(system, conversation, 'hello')),
    );
    await until('the poison has ended', hasEnded(system, poison), 20_000);
    assert.is(await statusOf(system, poison), 'quarantined');
    for (const runId of [after, ...others]) {
      await until('the others have ended', hasEnded(system, runId), 20_000);
      assert.is(await statusOf(system, runId), 'done');
    }
    assert.is(await replyOf(system, after), 'still here');
  }));

test.run();
