/** What the main thread calls in a worker, through Comlink. Actor messages never go this way. */
import type { MessagePort } from 'node:worker_threads';
import type { ChildSpec } from '../child-spec.ts';
import type { Port } from '../link/port.ts';
import type { ActorSnapshot, LoopDelay, ThreadSetupName } from '../system.ts';
import type { CodeName } from './spare.ts';

export interface StartRequest {
  readonly uid: number;
  readonly path: string;
  readonly spec: ChildSpec<unknown, unknown>;
  readonly incarnation: number;
}

export interface ThreadReport {
  readonly actors: readonly ActorSnapshot[];
  readonly counters: Readonly<Record<string, number>>;
  readonly loopDelayMs: LoopDelay;
}

export interface ThreadControl {
  /** Runs the thread setup; rejects with its error. */
  setUp(): Promise<void>;
  /** Loads code that may be needed soon; rejects where one of it cannot be loaded. */
  preload(names: readonly CodeName[]): Promise<void>;
  /** It has a place now, and gets messages. */
  adopt(place: Place): void;
  /** Settles when messages for the path can be taken; `started` or `ended` follows on the control lane. */
  start(request: StartRequest): Promise<void>;
  stop(uid: number, timeoutMs: number): Promise<void>;
  /** False where there is no such child, of which nothing will be told then. */
  kill(uid: number, code: string): boolean;
  /** None of them comes back, and nothing is told of their ends. */
  dispose(uids: readonly number[]): void;
  /** A direct link to another worker. */
  connect(slot: number, data: Port, control: Port): void;
  inspect(): ThreadReport;
  /** Lets go of everything, so that the thread ends by itself. */
  close(): Promise<void>;
}

/** The same from main: a call may fail with its thread. */
export type ThreadCalls = {
  readonly [K in keyof ThreadControl]: (
    ...args: Parameters<ThreadControl[K]>
  ) => Promise<Awaited<ReturnType<ThreadControl[K]>>>;
};

export interface Place {
  readonly slot: number;
  readonly name: string;
  /** It keeps main's priority. */
  readonly isUrgent: boolean;
}

/** How a worker is told what it is. */
export interface WorkerBirth {
  readonly name: string;
  readonly number: number;
  readonly page: SharedArrayBuffer;
  /** Shared: 1 while anybody hears the system's events. */
  readonly heard: Int32Array;
  readonly setup: ThreadSetupName | undefined;
  readonly calls: MessagePort;
  readonly data: MessagePort;
  readonly control: MessagePort;
}

/** Uids given by a worker start here: no two threads of a system, nor a thread and the one that replaces it, give the same. */
export function firstUidOf(number: number): number {
  return number * 2 ** 32 + 1;
}
