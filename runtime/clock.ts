/** The two clocks: `monotonicMs` for deadlines, leases and backoff; `wallMs` for records and signatures. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump. */
  wallMs(): number;
  /** Milliseconds since some fixed point of this process, fractional. Never goes back. */
  monotonicMs(): number;
}
