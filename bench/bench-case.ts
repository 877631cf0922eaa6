/** What a bench is: one question, ours and a peer in one process run, measured in turn. */
export interface Contest {
  /** One round; gives back how many units were done, or in a `value` case the value itself. */
  ours(): Promise<number>;
  peer(): Promise<number>;
  /** After each round, outside of its time: until nothing that the round left behind takes part in the next one. */
  settle?(): Promise<void>;
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
  /** The ratio that a good build reaches; 0 where the peer promises less and only the figure is of interest. */
  readonly bar: number;
  /** `rate` (default): units a second, more is better · `value`: less is better. */
  readonly measure?: 'rate' | 'value';
  /** Default 7. */
  readonly rounds?: number;
  /** Rounds before them that do not count: both sides compile there. Default 1, for a `value` 0. */
  readonly warmUps?: number;
  /** Why it cannot run here; '' when it can. */
  skip?(): Promise<string>;
  /** `scale` 1 is a whole round; the smoke run takes less. */
  open(scale: number): Promise<Contest>;
}
