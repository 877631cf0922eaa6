/** What the main thread calls in a worker, through Comlink. Actor messages never go this way. */
import type { MessagePort } from 'node:worker_threads';
import type { ChildSpec } from '../child-spec.ts';
import type { ActorSnapshot } from '../system.ts';

export interface StartRequest {
  readonly uid: number;
  readonly path: string;
  readonly spec: ChildSpec<unknown, unknown>;
  readonly incarnation: number;
}

export interface ThreadReport {
  readonly actors: readonly ActorSnapshot[];
  readonly counters: Readonly<Record<string, number>>;
}

export interface ThreadControl {
  /** Runs the thread setup; rejects with its error. */
  setUp(): Promise<void>;
  /** Settles when messages for the path can be taken; `started` or `ended` follows on the control lane. */
  start(request: StartRequest): Promise<void>;
  stop(uid: number, timeoutMs: number): Promise<void>;
  kill(uid: number, code: string): void;
  dispose(uid: number): void;
  /** A direct link to another worker. */
  connect(slot: number, data: MessagePort, control: MessagePort): void;
  inspect(): ThreadReport;
  /** Lets go of everything, so that the thread ends by itself. */
  close(): Promise<void>;
}

/** How a worker is told what it is. */
export interface WorkerBirth {
  readonly name: string;
  readonly slot: number;
  /** It has main's priority. */
  readonly isUrgent: boolean;
  readonly page: SharedArrayBuffer;
  readonly thread: { readonly module: string; readonly export: string; readonly args: unknown };
  readonly calls: MessagePort;
  readonly data: MessagePort;
  readonly control: MessagePort;
}

/** Uids given by a worker start here, so that no two threads give the same. */
export function firstUidOf(slot: number): number {
  return slot * 2 ** 40 + 1;
}
