/** One end of a channel to another thread, as a link uses it: Node's `MessagePort`, or one that a simulator makes. */
export interface Port {
  on(event: 'message' | 'messageerror', hear: (value: unknown) => void): unknown;
  /** `close`: the other end has gone. */
  once(event: 'close', hear: () => void): unknown;
  /** What is in `transfer` goes over without a copy. */
  postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
  close(): void;
}

/** One end of a link: frames of messages, and the control lane beside them. */
export interface LinkPorts {
  readonly data: Port;
  readonly control: Port;
}
