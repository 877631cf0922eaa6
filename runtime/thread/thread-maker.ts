/** Where threads come from: Node's workers, or a simulator's. It makes and ends them; what their loss means is not its business. */
import type { LinkPorts } from '../link/port.ts';
import type { ThreadCalls, WorkerBirth } from './thread-control.ts';

export interface ThreadOrder {
  readonly number: number;
  readonly name: string;
  readonly setup: WorkerBirth['setup'];
  readonly heard: WorkerBirth['heard'];
  readonly maxHeapMb: number;
  /** Of its flight recorder. */
  readonly page: SharedArrayBuffer;
}

/** Who ordered a thread hears how it goes. */
export interface ThreadFate {
  /** An error that none of its actors caught: it is about to exit. */
  failed(error: unknown): void;
  /** It sent what cannot be read. */
  unreadable(): void;
  /** One of its ports has closed: it exits, or nobody can reach it any more. */
  hungUp(): void;
  /** Once, however it ended. */
  exited(): void;
}

export interface MadeThread {
  /** Main's ends of its link. */
  readonly ports: LinkPorts;
  readonly calls: ThreadCalls;
  /** Gives it its end of a link to another thread. */
  connect(slot: number, ports: LinkPorts): Promise<void>;
  terminate(): Promise<unknown>;
}

export interface ThreadMaker {
  make(order: ThreadOrder, fate: ThreadFate): MadeThread;
  /** Both ends of a link between two threads. */
  channel(): readonly [LinkPorts, LinkPorts];
}
