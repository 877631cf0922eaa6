/** What the threads of one slot have counted, one after the other: a lost thread's last known counts stay in the sum. */
export type Counters = Readonly<Record<string, number>>;

/** What is so now, not what has happened: it is gone with its thread. */
const GAUGE = 'asks_open';

export class ThreadCounters {
  #past: Counters = {};
  #last: Counters = {};

  /** Of the thread that runs now. */
  heard(counters: Counters): void {
    this.#last = counters;
  }

  lost(): void {
    this.#past = { ...this.total(), [GAUGE]: 0 };
    this.#last = {};
  }

  total(): Counters {
    const sum: Record<string, number> = { ...this.#past };
    for (const [name, count] of Object.entries(this.#last)) sum[name] = (sum[name] ?? 0) + count;
    return sum;
  }
}
