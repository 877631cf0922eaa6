/** What one connector actor knows of its attempts: running, or answered and perhaps acknowledged. Bounded; it sends nothing. */
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';
import type { Settlement } from '../outbox/protocol.ts';

export interface AttemptKey {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly chunk: number;
}

type Entry =
  | { readonly status: 'running'; readonly key: AttemptKey; readonly chunks: number }
  | { readonly status: 'answered' | 'acknowledged'; readonly settlement: Settlement };

// An acknowledged attempt is not asked for again; these are kept for a repeat that was under way.
const KEPT_ACKNOWLEDGED = 1_024;

export class DeliveryBook {
  readonly #entries = new Map<string, Entry>();
  #open = 0;

  /** Attempts running, or answered and not yet acknowledged. */
  get open(): number {
    return this.#open;
  }

  get running(): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.status === 'running') count += 1;
    return count;
  }

  /** What is known of an attempt; undefined: it was never seen here. */
  find(key: AttemptKey): { readonly settlement?: Settlement } | undefined {
    const entry = this.#entries.get(nameOf(key));
    if (entry === undefined) return undefined;
    return entry.status === 'running' ? {} : { settlement: entry.settlement };
  }

  begin(key: AttemptKey, chunks: number): void {
    const { deliveryId, attempt, chunk } = key;
    this.#entries.set(nameOf(key), {
      status: 'running',
      key: { deliveryId, attempt, chunk },
      chunks,
    });
    this.#open += 1;
  }

  /** The first answer counts; undefined for a later one. */
  answer(key: AttemptKey, outcome: DeliveryOutcome): Settlement | undefined {
    const entry = this.#entries.get(nameOf(key));
    if (entry?.status !== 'running') return undefined;
    const settlement: Settlement = { ...entry.key, chunks: entry.chunks, outcome };
    this.#entries.set(nameOf(key), { status: 'answered', settlement });
    return settlement;
  }

  acknowledge(key: AttemptKey): void {
    const name = nameOf(key);
    const entry = this.#entries.get(name);
    if (entry?.status !== 'answered') return;
    this.#entries.delete(name);
    this.#entries.set(name, { status: 'acknowledged', settlement: entry.settlement });
    this.#open -= 1;
    this.#forgetOldest();
  }

  unacknowledged(): readonly Settlement[] {
    const settlements: Settlement[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.status === 'answered') settlements.push(entry.settlement);
    }
    return settlements;
  }

  #forgetOldest(): void {
    if (this.#entries.size - this.#open <= KEPT_ACKNOWLEDGED) return;
    for (const [name, entry] of this.#entries) {
      if (entry.status !== 'acknowledged') continue;
      this.#entries.delete(name);
      return;
    }
  }
}

function nameOf(key: AttemptKey): string {
  return `${key.deliveryId}/${key.attempt}/${key.chunk}`;
}
