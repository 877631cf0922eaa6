/** What a bench is: one question, ours and a peer in one process, measured in turn. */
export interface Contest {
  /** One round; gives back how many units were done. The harness takes the time. */
  ours(): Promise<number>;
  peer(): Promise<number>;
  /** What else the case measured, e.g. percentiles; printed beside the ratio. */
  details?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export interface BenchCase {
  /** `file/case`, e.g. `local-tell/ping-pong`. */
  readonly name: string;
  /** What is counted, e.g. `messages/s`. */
  readonly unit: string;
  readonly peerName: string;
  /** The ratio that a good build reaches, and why that value. */
  readonly bar: number;
  /** Why it cannot run here; '' when it can. */
  skip?(): Promise<string>;
  /** `scale` 1 is a whole round; the smoke run takes less. */
  open(scale: number): Promise<Contest>;
}
