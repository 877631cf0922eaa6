/** A connector actor as its contract has it, with a platform behind it that logs each piece it took. */
import type { Attempt } from '../../../../actors/channels/protocol.ts';
import type { Settlement } from '../../../../actors/outbox/protocol.ts';
import type { DeliveryOutcome } from '../../../../proto/channel-messages.ts';

export interface Piece {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly chunk: number;
  readonly lane: string;
}

/** What the platform has taken, in order; it outlives every crash of ours. */
export class Platform {
  readonly log: Piece[] = [];

  chunksOf(deliveryId: string): ReadonlySet<number> {
    return new Set(this.log.filter((p) => p.deliveryId === deliveryId).map((p) => p.chunk));
  }
}

/** `took`: whether the platform has the piece, whatever the connector learned. */
export interface Script {
  chunks(attempt: Attempt): number;
  outcome(attempt: Attempt): { readonly outcome: DeliveryOutcome; readonly took: boolean };
}

export class ScriptedConnector {
  readonly id: string;
  readonly address: string;
  incarnation = 1;
  /** Told and not yet handled, running, and answered but not yet acknowledged. */
  inbox: Attempt[] = [];
  running: Attempt[] = [];
  answered = new Map<string, Settlement>();
  /** Most attempts that ran at the same time in one lane, and in all. */
  mostInLane = 0;
  mostInFlight = 0;
  readonly #platform: Platform;
  readonly #script: Script;
  readonly #tell: (settlement: Settlement) => void;
  readonly #known = new Set<string>();

  constructor(
    id: string,
    platform: Platform,
    script: Script,
    tell: (settlement: Settlement) => void,
  ) {
    this.id = id;
    this.address = `test/${id}#1`;
    this.#platform = platform;
    this.#script = script;
    this.#tell = tell;
  }

  /** A new incarnation: it knows nothing. */
  crash(): void {
    this.incarnation += 1;
    this.inbox = [];
    this.running = [];
    this.answered = new Map();
    this.#known.clear();
  }

  handle(): void {
    const attempt = this.inbox.shift();
    if (attempt === undefined) return;
    const name = nameOf(attempt);
    if (this.#known.has(name)) {
      const settlement = this.answered.get(name);
      if (settlement !== undefined) this.#tell(settlement);
      return;
    }
    this.#known.add(name);
    if (attempt.resumed) {
      this.#answer(attempt, { type: 'unknown', reason: 'sender_restarted' });
      return;
    }
    this.running.push(attempt);
    const inLane = this.running.filter((other) => laneOf(other) === laneOf(attempt)).length;
    this.mostInLane = Math.max(this.mostInLane, inLane);
    this.mostInFlight = Math.max(this.mostInFlight, this.running.length);
  }

  /** The platform answers one of the running attempts. */
  finish(index: number): void {
    const [attempt] = this.running.splice(index, 1);
    if (attempt === undefined) return;
    const { outcome, took } = this.#script.outcome(attempt);
    const { deliveryId, chunk } = attempt;
    if (took) {
      const lane = laneOf(attempt);
      this.#platform.log.push({ deliveryId, attempt: attempt.attempt, chunk, lane });
    }
    this.#answer(attempt, outcome);
  }

  acknowledge(key: { deliveryId: string; attempt: number; chunk: number }): void {
    this.answered.delete(nameOf(key));
  }

  repeat(): void {
    for (const settlement of this.answered.values()) this.#tell(settlement);
  }

  #answer(attempt: Attempt, outcome: DeliveryOutcome): void {
    const { deliveryId, attempt: n, chunk } = attempt;
    const chunks = this.#script.chunks(attempt);
    const settlement: Settlement = { deliveryId, attempt: n, chunk, chunks, outcome };
    this.answered.set(nameOf(attempt), settlement);
    this.#tell(settlement);
  }
}

function nameOf(key: { deliveryId: string; attempt: number; chunk: number }): string {
  return `${key.deliveryId}/${key.attempt}/${key.chunk}`;
}

function laneOf(attempt: Attempt): string {
  return `${attempt.conversationId}/${attempt.threadId}`;
}
