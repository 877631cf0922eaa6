/** The outbox under every kind of fault, by seed: the process, the outbox, a connector end at any boundary; the ledger refuses or is silent. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DEAD_LETTERS, DELIVERED, DELIVERIES, parseEndedRow } from '../../../actors/outbox/rows.ts';
import type { DeliveryOutcome } from '../../../proto/channel-messages.ts';
import { faultScale } from '../../support/scale.ts';
import { OutboxWorld, type Output, settle } from './support/outbox-world.ts';

const test = suite('actors/outbox: crashes');

const SEEDS = faultScale(40, 2_500);
const FIRST_SEED = Number(process.env.PALYRA_TEST_SEED ?? 1);
const STEPS = 240;

function randomOf(seed: number): () => number {
  let bits = seed >>> 0;
  return () => {
    bits = (bits + 0x6d2b79f5) | 0;
    let t = Math.imul(bits ^ (bits >>> 15), bits | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Counts {
  processes: number;
  outboxes: number;
  connectors: number;
  interventions: number;
  duplicates: number;
}

/** One world, one seed: faults for a while, then none until everything has ended. */
class Storm {
  readonly random: () => number;
  readonly world: OutboxWorld;
  readonly counts: Counts = {
    processes: 0,
    outboxes: 0,
    connectors: 0,
    interventions: 0,
    duplicates: 0,
  };
  readonly #runs = new Map<string, { outputs: Output[]; state: 'open' | 'asked' | 'done' }>();
  readonly #isHold: boolean;
  #isCalm = false;

  constructor(seed: number, onUnknown: 'retry' | 'hold') {
    this.random = randomOf(seed);
    this.#isHold = onUnknown === 'hold';
    this.world = new OutboxWorld({
      connectors: { 'a:1': onUnknown, 'b:1': onUnknown },
      random: this.random,
      policies: { inFlightPerConnector: 2 },
      minIntervalMs: seed % 2 === 0 ? 0 : 300,
      script: {
        chunks: ({ text }) => text.length,
        outcome: ({ text }) => this.#outcome(text),
      },
    });
    for (let n = 0; n < 12; n += 1) this.#runs.set(runIdOf(n), { outputs: [], state: 'open' });
    for (const run of this.#runs.values()) {
      const size = 1 + this.#below(3);
      run.outputs = Array.from({ length: size }, () => this.#output());
    }
  }

  async run(): Promise<void> {
    await this.world.start();
    for (const id of this.world.connectors.keys()) this.world.up(id);
    for (let i = 0; i < STEPS; i += 1) {
      await this.#step();
      await settle();
    }
    await this.#recover();
    const due = this.world.outbox.ask('drain', 'due', null);
    this.world.outbox.receive('drain');
    assert.equal(await due, { deliveries: 0 }, 'nothing is due once all has ended');
  }

  #below(n: number): number {
    return Math.floor(this.random() * n);
  }

  #chance(share: number): boolean {
    return this.random() < share;
  }

  #output(): Output {
    const connector = this.#chance(0.7) ? 'a:1' : 'b:1';
    const text = 'x'.repeat(1 + this.#below(3)) + (this.#chance(0.1) ? '!' : '');
    return { connector, conversation: this.#chance(0.8) ? 'c0' : 'c1', text };
  }

  #outcome(text: string): { outcome: DeliveryOutcome; took: boolean } {
    const delivered = { type: 'delivered', nativeMessageId: `m${this.random()}` } as const;
    if (text.endsWith('!') && this.#chance(0.5)) {
      return { outcome: { type: 'permanent', reason: 'refused' }, took: false };
    }
    if (this.#isCalm || this.#chance(0.6)) return { outcome: delivered, took: true };
    const scope = this.#chance(0.5) ? 'account' : 'conversation';
    const failures: readonly { outcome: DeliveryOutcome; took: boolean }[] = [
      { outcome: { type: 'transient', reason: 'reset' }, took: false },
      { outcome: { type: 'rate_limited', retryAfterMs: 700, scope, reason: 'slow' }, took: false },
      { outcome: { type: 'unknown', reason: 'no answer' }, took: this.#chance(0.5) },
      { outcome: { type: 'auth', reason: 'refused' }, took: false },
    ];
    return failures[this.#below(failures.length)] ?? { outcome: delivered, took: true };
  }

  /** One thing of all that can happen next. */
  async #step(): Promise<void> {
    const { world } = this;
    const connectors = [...world.connectors.values()];
    const connector = connectors[this.#below(connectors.length)];
    const { senders } = world.outbox;
    if (this.#isHold && this.#chance(0.05)) return this.#intervene();
    const choice = this.#below(100);
    if (choice < 30) return world.outbox.receive(senders[this.#below(senders.length)] ?? '');
    if (choice < 44) return world.handleAsk(this.#ledgerFault());
    if (choice < 54) return world.store.flush(1 + this.#below(3));
    if (choice < 62) return connector?.handle();
    if (choice < 70) return connector?.finish(this.#below(connector.running.length));
    if (choice < 78) return this.#ask();
    if (choice < 81) return connector?.repeat();
    if (choice < 92) return this.#tick();
    if (choice < 94) {
      for (const { id } of connectors) this.#unpark(id);
      return;
    }
    if (choice < 95) {
      world.refusesTells = !world.refusesTells;
      return;
    }
    await this.#crash(connector?.id ?? '');
  }

  /** An operator replays or discards one of those that do not go on by themselves. */
  #intervene(): void {
    const stuck = [DELIVERIES, DEAD_LETTERS]
      .flatMap((table) => this.world.store.scan({ table, limit: 1_000 }).rows)
      .filter(({ row }) => row.status === 'held' || row.status === 'dead');
    const one = stuck[this.#below(stuck.length)];
    if (one === undefined) return;
    const operation = this.#chance(0.7) ? 'channels.replay' : 'channels.discard';
    const input = { connector_id: one.row.connectorId, delivery_id: one.key };
    this.world.outbox.ask('operator', 'operate', { operation, input, principal: 'test' }).then(
      (reply) => {
        if ((reply as { ok: boolean }).ok) this.counts.interventions += 1;
      },
      () => undefined,
    );
  }

  async #crash(connector: string): Promise<void> {
    const which = this.#below(4);
    if (which === 0) {
      this.counts.processes += 1;
      await this.world.loseProcess(this.#below(1_000_000));
      for (const id of this.world.connectors.keys()) this.world.up(id);
    } else if (which === 1) {
      this.counts.outboxes += 1;
      await this.world.restartOutbox();
      for (const id of this.world.connectors.keys()) this.world.up(id);
    } else if (which === 2) {
      this.counts.connectors += 1;
      this.world.loseConnector(connector);
      this.world.up(connector);
    }
    if (which < 2)
      for (const run of this.#runs.values()) if (run.state === 'asked') run.state = 'open';
  }

  #ledgerFault(): 'busy' | 'lost' | 'unanswered' | undefined {
    const kinds = ['busy', 'lost', 'unanswered'] as const;
    return this.#chance(0.2) ? kinds[this.#below(3)] : undefined;
  }

  #tick(): void {
    this.world.nowMs += this.#below(1_500);
    this.world.outbox.fireTimers();
  }

  #unpark(id: string): void {
    const account = { connectorId: id, parked: false, reason: '' };
    this.world.outbox.mail(id, 'parked', account);
  }

  /** A run that is not known to have ended is finished (again). */
  #ask(): void {
    for (const [runId, run] of this.#runs) {
      if (run.state !== 'open') continue;
      run.state = 'asked';
      this.world.finish(runId, run.outputs).then(
        (reply) => {
          // A conflict is answered after the flush of what it conflicts with: the run ended before.
          run.state = reply.ok || reply.code === 'conflict' ? 'done' : 'open';
        },
        () => {
          run.state = 'open';
        },
      );
      return;
    }
  }

  /** No more faults: whatever was accepted must end. */
  async #recover(): Promise<void> {
    this.#isCalm = true;
    this.world.refusesTells = false;
    for (let i = 0; i < 400; i += 1) {
      for (const id of this.world.connectors.keys()) this.#unpark(id);
      this.#ask();
      await this.world.answerAll();
      for (const connector of this.world.connectors.values()) connector.repeat();
      await this.world.advance(20_000);
      const isOver = [...this.#runs.values()].every(({ state }) => state === 'done');
      const { rows } = this.world.store.scan({ table: DELIVERIES, limit: 1_000 });
      if (isOver && rows.every(({ row }) => row.status === 'held')) return;
    }
    const { rows } = this.world.store.scan({ table: DELIVERIES, limit: 1_000 });
    const unfinished = [...this.#runs].filter(([, run]) => run.state !== 'done').map(([id]) => id);
    const left = rows.map(({ key, row }) => `${key} ${row.status}`);
    throw new Error(`not over: ${[...unfinished, ...left].join(', ')}`);
  }

  /** Every accepted delivery stands in exactly one table, and the platform has what its row says. */
  verify(isOrdered: boolean): void {
    const { world } = this;
    const ended = [DELIVERED, DEAD_LETTERS].flatMap((table) =>
      world.store
        .scan({ table, limit: 1_000 })
        .rows.map(({ key, row }) => ({ key, row: parseEndedRow(row) })),
    );
    const held = world.store.scan({ table: DELIVERIES, limit: 1_000 }).rows;
    const expected = [...this.#runs].flatMap(([runId, { outputs }]) =>
      outputs.map((_, n) => `${runId}:${String(n).padStart(4, '0')}`),
    );
    const found = [...ended, ...held].map(({ key }) => key).sort();
    assert.equal(found, expected.sort(), 'each delivery stands in exactly one table');
    for (const { key, row } of ended) {
      const chunks = world.platform.chunksOf(key);
      if (row.status === 'delivered')
        assert.is(chunks.size, row.chunks, `${key} has all its pieces`);
      if (row.status === 'delivered') assert.is(row.nativeMessageIds.length, row.chunks);
      const sent = world.platform.log.filter(({ deliveryId }) => deliveryId === key).length;
      if (sent === chunks.size) continue;
      this.counts.duplicates += 1;
      assert.ok(row.maybeDuplicate, `${key} was sent twice and says so`);
    }
    if (isOrdered) this.#verifyOrder();
    for (const connector of world.connectors.values()) {
      assert.ok(connector.mostInLane <= 1, 'one piece in flight per lane');
    }
  }

  /** By the first time that the platform took each piece. */
  #verifyOrder(): void {
    const last = new Map<string, { order: number; chunk: number; deliveryId: string }>();
    const seen = new Set<string>();
    for (const { deliveryId, chunk } of this.world.platform.log) {
      if (seen.has(`${deliveryId}/${chunk}`)) continue;
      seen.add(`${deliveryId}/${chunk}`);
      const { lane, order } = this.world.committed.get(deliveryId) ?? { lane: '', order: -1 };
      const output = this.#runs.get(deliveryId.slice(0, 26))?.outputs[Number(deliveryId.slice(27))];
      const key = `${output?.connector} ${lane}`;
      const before = last.get(key);
      const isLater =
        before === undefined || order > before.order || deliveryId === before.deliveryId;
      assert.ok(isLater, `${deliveryId} after ${before?.deliveryId}`);
      const isNext = deliveryId === before?.deliveryId ? before.chunk + 1 : 0;
      assert.is(chunk, isNext, `${deliveryId}: pieces in order`);
      last.set(key, { order, chunk, deliveryId });
    }
  }
}

function runIdOf(n: number): string {
  return `01J000000000000000000000${String(n).padStart(2, '0')}`;
}

for (const onUnknown of ['retry', 'hold'] as const) {
  test(`with on_unknown = ${onUnknown}, nothing accepted is lost and lanes keep their order, over ${SEEDS} seeds`, async () => {
    const total: Counts = {
      processes: 0,
      outboxes: 0,
      connectors: 0,
      interventions: 0,
      duplicates: 0,
    };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      const storm = new Storm(seed, onUnknown);
      try {
        await storm.run();
        storm.verify(onUnknown === 'retry');
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`PALYRA_TEST_SEED=${seed}: ${reason}`, { cause: error });
      }
      for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += storm.counts[key];
    }
    console.log(`${onUnknown}: ${JSON.stringify(total)}`);
    if (onUnknown === 'hold') assert.ok(total.interventions > 10);
    assert.ok(total.processes > 20 && total.outboxes > 20 && total.connectors > 20);
    if (onUnknown === 'retry')
      assert.ok(total.duplicates > 0, 'at least once means sometimes twice');
  });
}

test.run();
