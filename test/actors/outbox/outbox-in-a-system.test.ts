/** The outbox among real neighbours: ledger, kernel and supervisor, with a connector that crashes. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ledgerActor } from '../../../actors/ledger/actor.ts';
import type { LedgerProtocol } from '../../../actors/ledger/protocol.ts';
import { outboxActor } from '../../../actors/outbox/actor.ts';
import type { OutboxProtocol } from '../../../actors/outbox/protocol.ts';
import { DEAD_LETTERS, DELIVERED } from '../../../actors/outbox/rows.ts';
import type { SessionsProtocol } from '../../../actors/sessions/protocol.ts';
import { child, refTo } from '../../../runtime/actor.ts';
import type { ChildSpec } from '../../../runtime/child-spec.ts';
import { createSystem, type System, supervisor } from '../../../runtime/index.ts';
import { until, within } from '../../support/within.ts';
import { type StandInConnector, standInConnector } from './support/stand-in-connector.ts';

const test = suite('actors/outbox in a system');

const SOON = { inMs: 5_000 };
const ledger = refTo<LedgerProtocol>('t', 'root/ledger');
const outbox = refTo<OutboxProtocol>('t', 'root/outbox');
const sessions = refTo<SessionsProtocol>('t', 'root/sessions');
const connector = refTo<StandInConnector>('t', 'root/connector');

async function withSystem(work: (system: System) => Promise<void>) {
  const module = new URL('./support/stand-in-connector.js', import.meta.url).href;
  const system = await createSystem({
    name: 't',
    threads: 'inline',
    thread: { module, export: 'setup', args: null },
  });
  const children = [
    child(ledgerActor, { id: 'ledger', args: { retention: [] } }),
    child(outboxActor, { id: 'outbox', args: { ledger, sessions } }),
    child(standInConnector, { id: 'connector', args: { outbox } }),
  ] as readonly ChildSpec<unknown, unknown>[];
  const backoff = { minMs: 1, maxMs: 20, factor: 2, jitter: 0, resetAfterMs: 1_000 };
  const strategy = { strategy: 'one_for_one', intensity: 100, periodMs: 10_000, backoff } as const;
  try {
    const root = system.spawn(supervisor('root', { ...strategy, children }));
    await within('the tree has started', system.started(root));
    await work(system);
  } finally {
    await within('the system has stopped', system.stop({ deadlineMs: 4_000 }));
  }
}

function finish(system: System, runId: string, texts: readonly string[]) {
  return system.ask(
    outbox,
    'finish',
    {
      runId,
      trace: runId,
      changes: { expect: [], put: [], remove: [], facts: [] },
      outputs: texts.map((text) => ({
        target: { connectorId: 'a:1', conversationId: 'c', threadId: '' },
        message: { text, inReplyTo: '', attachments: [] },
      })),
    },
    SOON,
  );
}

async function hasRow(system: System, table: string, key: string): Promise<boolean> {
  return (await system.ask(ledger, 'read', { table, key }, SOON)).length === 1;
}

test('what a run answers with arrives, in order, and its rows end in `delivered`', () =>
  withSystem(async (system) => {
    const reply = await finish(system, '01J00000000000000000000001', ['one', 'two', 'three']);
    assert.is(reply.ok, true);
    const last = '01J00000000000000000000001:0002';
    await until('the last is delivered', () => hasRow(system, DELIVERED, last));
    const sent = await system.ask(connector, 'sent', null, SOON);
    assert.equal(
      sent.map(({ text }) => text),
      ['one', 'two', 'three'],
    );
  }));

test('a connector that crashes sends again what it was sending; one message that crashes it twice is quarantined', () =>
  withSystem(async (system) => {
    await finish(system, '01J00000000000000000000001', ['crash once', 'poison', 'after']);
    const id = (n: number) => `01J00000000000000000000001:000${n}`;
    await until('the last is delivered', () => hasRow(system, DELIVERED, id(2)), 10_000);
    assert.ok(await hasRow(system, DELIVERED, id(0)));
    assert.ok(await hasRow(system, DEAD_LETTERS, id(1)));
    const queue = await system.ask(outbox, 'queue', { connectorId: 'a:1' }, SOON);
    assert.equal([queue.sending, queue.unknown, queue.deadLetters], [0, 0, 1]);
    const sent = await system.ask(connector, 'sent', null, SOON);
    assert.equal(
      sent.map(({ text }) => text),
      ['crash once', 'after'],
    );
  }));

test('a hundred conversations at once all arrive, and nothing is left open', () =>
  withSystem(async (system) => {
    const runs = Array.from(
      { length: 100 },
      (_, n) => `01J000000000000000000001${String(n).padStart(2, '0')}`,
    );
    const replies = await Promise.all(
      runs.map((runId, n) =>
        system.ask(
          outbox,
          'finish',
          {
            runId,
            trace: runId,
            changes: { expect: [], put: [], remove: [], facts: [] },
            outputs: ['a', 'b'].map((text) => ({
              target: { connectorId: 'a:1', conversationId: `c${n}`, threadId: '' },
              message: { text: `${text}${n}`, inReplyTo: '', attachments: [] },
            })),
          },
          SOON,
        ),
      ),
    );
    assert.ok(replies.every(({ ok }) => ok));
    await until('nothing is due', async () => {
      const { deliveries } = await system.ask(outbox, 'due', null, SOON);
      return deliveries === 0;
    });
    const sent = await system.ask(connector, 'sent', null, SOON);
    assert.is(sent.length, 200);
    for (let n = 0; n < 100; n += 1) {
      const own = sent.filter(({ text }) => text === `a${n}` || text === `b${n}`);
      assert.equal(
        own.map(({ text }) => text),
        [`a${n}`, `b${n}`],
      );
    }
  }));

test.run();
