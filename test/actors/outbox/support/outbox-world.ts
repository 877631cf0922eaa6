/** The outbox over the power-loss store, with runs before it and scripted connectors behind it; each step by seed or by hand. */
import type { CommitReply, CommitRequest } from '../../../../actors/ledger/protocol.ts';
import { outboxActor } from '../../../../actors/outbox/actor.ts';
import type { Settlement } from '../../../../actors/outbox/protocol.ts';
import { DELIVERIES, type DeliveryRow, parseDeliveryRow } from '../../../../actors/outbox/rows.ts';
import type { OutboxPolicies } from '../../../../actors/outbox/state.ts';
import { decodeRow, encodeChangeSet } from '../../../../runtime/store/encoding.ts';
import { PowerLossStore } from '../../../../runtime/store/power-loss.ts';
import type { Row, ScanQuery } from '../../../../runtime/store/store.ts';
import { ActorDriver, type Asked, type Sent } from './actor-driver.ts';
import { Platform, type Script, ScriptedConnector } from './scripted-connector.ts';

export interface Output {
  readonly connector: string;
  readonly conversation: string;
  readonly text: string;
}

export interface WorldOptions {
  readonly connectors: Readonly<Record<string, 'retry' | 'hold'>>;
  readonly script: Script;
  readonly policies?: Partial<OutboxPolicies>;
  readonly maxAgeMs?: number;
  readonly parkedMaxAgesMs?: Readonly<Record<string, number>>;
  readonly minIntervalMs?: number;
  random(): number;
}

const SESSIONS = 'test/sessions';
/** Of every run. */
export const SESSION = 'channel:webhook:w:conversation:c';
const START_WALL_MS = 1_800_000_000_000;
const DAY_MS = 86_400_000;

export class OutboxWorld {
  readonly platform = new Platform();
  readonly connectors = new Map<string, ScriptedConnector>();
  /** Orders by lane as their first commits were taken. */
  readonly committed = new Map<string, { readonly lane: string; readonly order: number }>();
  /** Asks at the ledger that have not been handled, oldest first. */
  asks: Asked[] = [];
  commits = 0;
  /** Sessions that were told to read their turns again. */
  readonly turnsChanged: string[] = [];
  refusesTells = false;
  store = new PowerLossStore();
  outbox: ActorDriver;
  incarnation = 1;
  nowMs = 1_000;
  readonly #options: WorldOptions;
  #flushedRevision = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.outbox = this.#createOutbox();
    for (const id of Object.keys(options.connectors)) {
      const tell = (settlement: Settlement) => this.outbox.mail(id, 'settled', settlement);
      this.connectors.set(id, new ScriptedConnector(id, this.platform, options.script, tell));
    }
  }

  /** The outbox loads its rows; asks of its start are answered at once. */
  async start(): Promise<void> {
    const { policies, parkedMaxAgesMs } = this.#options;
    const args = {
      ledger: { address: 'test/ledger' },
      sessions: { address: SESSIONS },
      ...(policies === undefined ? {} : { policies }),
      ...(parkedMaxAgesMs === undefined ? {} : { parkedMaxAgesMs }),
    };
    let isStarted = false;
    const started = this.outbox.start(args).then(() => {
      isStarted = true;
    });
    while (!isStarted) {
      this.handleAsk();
      await settle();
    }
    await started;
  }

  /** `by`: the connector that has the account now. */
  up(id: string, by = id): void {
    const connector = this.connector(by);
    this.outbox.mail(by, 'connectorUp', {
      connectorId: id,
      ref: { address: connector.address },
      onUnknown: this.#options.connectors[id] ?? 'retry',
      maxAgeMs: this.#options.maxAgeMs ?? DAY_MS,
      minIntervalMs: this.#options.minIntervalMs ?? 0,
      incarnation: connector.incarnation,
    });
  }

  connector(id: string): ScriptedConnector {
    const connector = this.connectors.get(id);
    if (connector === undefined) throw new Error(`no connector ${id}`);
    return connector;
  }

  finish(runId: string, outputs: readonly Output[]): Promise<CommitReply> {
    const row = { v: 1, status: 'done', sessionKey: SESSION, envelopeId: `E${runId}`, tape: [] };
    return this.outbox.ask('runs', 'finish', {
      runId,
      trace: `trace-${runId}`,
      changes: {
        expect: [{ table: 'runs', key: runId, revision: 0 }],
        put: [{ table: 'runs', key: runId, row }],
        remove: [],
        facts: [{ type: 'run.finished', runId }],
      },
      outputs: outputs.map(({ connector, conversation, text }) => ({
        target: { connectorId: connector, conversationId: conversation, threadId: '' },
        message: { text, inReplyTo: '', attachments: [] },
      })),
    }) as Promise<CommitReply>;
  }

  row(deliveryId: string): DeliveryRow | undefined {
    const stored = this.store.read(DELIVERIES, deliveryId);
    return stored === undefined ? undefined : parseDeliveryRow(stored.row);
  }

  /** The ledger takes the oldest ask. */
  handleAsk(fault?: 'busy' | 'lost' | 'unanswered'): void {
    const ask = this.asks.shift();
    if (ask === undefined) return;
    if (fault === 'lost') ask.fail();
    else if (ask.kind !== 'commit') ask.answer(this.#look(ask));
    else if (fault === 'busy') ask.answer({ ok: false, code: 'busy', retryAfterMs: 500 });
    else this.#commit(ask, fault === 'unanswered');
  }

  flush(): void {
    this.store.flush();
  }

  /** Everything under way happens, in order, until nothing moves without the clock. */
  async calm(): Promise<void> {
    for (let i = 0; i < 10_000; i += 1) {
      await settle();
      this.outbox.fireTimers();
      const [from] = this.outbox.senders;
      const busy = [...this.connectors.values()].find((c) => c.inbox.length > 0);
      if (this.asks.length > 0) this.handleAsk();
      else if (this.store.unflushed > 0) this.flush();
      else if (from !== undefined) this.outbox.receive(from);
      else if (busy !== undefined) busy.handle();
      else return;
    }
    throw new Error('the world does not come to rest');
  }

  /** Connectors answer what runs, one after the other, until nothing runs. */
  async answerAll(): Promise<void> {
    for (let i = 0; i < 10_000; i += 1) {
      await this.calm();
      const busy = [...this.connectors.values()].find((c) => c.running.length > 0);
      if (busy === undefined) return;
      busy.finish(0);
    }
    throw new Error('the connectors do not come to rest');
  }

  async advance(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.calm();
  }

  /** The outbox alone is gone; what it asked may still be done. */
  async restartOutbox(): Promise<void> {
    this.outbox.kill();
    this.incarnation += 1;
    this.outbox = this.#createOutbox();
    await this.start();
  }

  /** Nothing in memory is left; of the unflushed a prefix by `seed`. */
  async loseProcess(seed: number): Promise<void> {
    this.outbox.kill();
    this.asks = [];
    this.store = this.store.crash(seed);
    this.#flushedRevision = 0;
    for (const { key, row, revision } of this.store.scan({ table: DELIVERIES, limit: 1_000 })
      .rows) {
      this.#flushedRevision = Math.max(this.#flushedRevision, revision);
      this.#learn(key, row);
    }
    for (const connector of this.connectors.values()) {
      connector.crash();
      connector.incarnation = 1;
    }
    this.incarnation = 1;
    this.outbox = this.#createOutbox();
    await this.start();
  }

  loseConnector(id: string, cause: Record<string, unknown> = {}): void {
    const connector = this.connector(id);
    const { incarnation, address } = connector;
    connector.crash();
    const exit = { kind: 'crashed', code: 'told_to', ...cause };
    this.outbox.down({ ref: { address }, incarnation, cause: exit });
  }

  #createOutbox(): ActorDriver {
    return new ActorDriver(outboxActor, 'test/outbox#1', this.incarnation, {
      wallMs: () => START_WALL_MS + this.nowMs,
      monotonicMs: () => this.nowMs,
      random: this.#options.random,
      takes: (sent) => this.#take(sent),
      asked: (ask) => void this.asks.push(ask),
    });
  }

  #take({ to, kind, payload }: Sent): boolean {
    if (to === SESSIONS) {
      this.turnsChanged.push((payload as { sessionKey: string }).sessionKey);
      return true;
    }
    const connector = [...this.connectors.values()].find(({ address }) => address === to);
    if (connector === undefined) throw new Error(`nobody is at ${to}`);
    if (kind === 'settledAck') {
      connector.acknowledge(payload as { deliveryId: string; attempt: number; chunk: number });
      return true;
    }
    if (this.refusesTells) return false;
    const attempt = payload as ScriptedConnector['inbox'][number];
    if (!attempt.resumed) this.#mustBeFlushed(attempt);
    connector.inbox.push(attempt);
    return true;
  }

  /** The rule of externalisation: the row that says `sending` for exactly this attempt is flushed. */
  #mustBeFlushed({ deliveryId, attempt, chunk }: ScriptedConnector['inbox'][number]): void {
    const stored = this.store.read(DELIVERIES, deliveryId);
    const row = stored === undefined ? undefined : parseDeliveryRow(stored.row);
    const isSaid = row?.status === 'sending' && row.attempt === attempt && row.chunk === chunk;
    if (!isSaid || (stored?.revision ?? 0) > this.#flushedRevision) {
      throw new Error(`${deliveryId} attempt ${attempt} chunk ${chunk} is not flushed as sending`);
    }
  }

  /** It waits for the flush of what was asked before it. */
  #look({ kind, payload }: Asked): unknown {
    this.flush();
    if (kind === 'scan') return this.store.scan(payload as ScanQuery);
    if (kind === 'keys') return this.store.keys(payload as ScanQuery);
    const { table, key } = payload as { table: string; key: string };
    const stored = this.store.read(table, key);
    return stored === undefined ? [] : [stored];
  }

  #commit(ask: Asked, isUnanswered: boolean): void {
    const changes = encodeChangeSet((ask.payload as CommitRequest).changes);
    this.commits += 1;
    this.store.commit([changes], START_WALL_MS + this.nowMs).then(
      ([outcome]) => {
        if (outcome?.ok) {
          this.#flushedRevision = Math.max(this.#flushedRevision, outcome.revision);
          let at = 0;
          for (const [table, key, bytes] of changes.put) {
            const row = changes.body.subarray(at, at + bytes);
            at += bytes;
            if (table === DELIVERIES) this.#learn(key, decodeRow(row).row);
          }
        }
        if (isUnanswered) ask.fail();
        else ask.answer(outcome);
      },
      () => undefined,
    );
  }

  /** By what the disk has, so that a crash cannot make it wrong. */
  #learn(deliveryId: string, row: Row): void {
    if (this.committed.has(deliveryId)) return;
    const { conversationId, order } = parseDeliveryRow(row);
    this.committed.set(deliveryId, { lane: `${conversationId}/`, order });
  }
}

/** Lets every promise that can go on go on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
