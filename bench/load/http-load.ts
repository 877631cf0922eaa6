/** A load of prepared HTTP requests over keep-alive connections, cheap enough not to be the limit: no client library. */
import { connect, type Socket } from 'node:net';

export interface Load {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Whole requests, head and body; each is sent once. */
  readonly requests: readonly Buffer[];
  readonly expectStatus: number;
  /** So many a second are sent, as long as a connection is free; unset: each as soon as one is. */
  readonly perSecond?: number;
  /** Told of each whole answer by its request's place in `requests`. */
  readonly onAnswer?: (request: number) => void;
}

export interface LoadResult {
  readonly answered: number;
  /** Answers with another status than the expected one. */
  readonly unexpected: number;
  /** Sorted, milliseconds from sending to the whole answer. */
  readonly latenciesMs: readonly number[];
}

export async function runLoad(load: Load): Promise<LoadResult> {
  const { expectStatus, onAnswer, perSecond = Number.POSITIVE_INFINITY } = load;
  const startedAtMs = performance.now();
  let next = 0;
  let unexpected = 0;
  const latenciesMs: number[] = [];
  const turns: Turns = {
    take: () => next++,
    waitMs: (request) => startedAtMs + (request * 1_000) / perSecond - performance.now(),
    heard(request, status, ms) {
      latenciesMs.push(ms);
      if (status !== expectStatus) unexpected += 1;
      onAnswer?.(request);
    },
  };
  await Promise.all(Array.from({ length: load.connections }, () => runConnection(load, turns)));
  return {
    answered: latenciesMs.length,
    unexpected,
    latenciesMs: latenciesMs.sort((a, b) => a - b),
  };
}

/** What the connections of a load share. */
interface Turns {
  /** The place of the next request. */
  take(): number;
  /** How long until it is to be sent; not above 0: now. */
  waitMs(request: number): number;
  heard(request: number, status: number, ms: number): void;
}

/** Where every answer is read to: what it holds is looked at before the next one comes. */
const READ = Buffer.allocUnsafe(64 * 1_024);

function runConnection(load: Load, turns: Turns): Promise<void> {
  return new Promise((resolve, reject) => {
    let pending = '';
    let sentAtMs = 0;
    let place = 0;
    const send = (request: Buffer) => {
      sentAtMs = performance.now();
      socket.write(request);
    };
    const sendNext = () => {
      place = turns.take();
      const request = load.requests[place];
      if (request === undefined) {
        socket.end();
        resolve();
        return;
      }
      const waitMs = turns.waitMs(place);
      if (waitMs > 0) setTimeout(send, waitMs, request);
      else send(request);
    };
    const heard = (length: number) => {
      pending += READ.toString('latin1', 0, length);
      const status = wholeAnswer(pending);
      if (status === 0) return true;
      pending = '';
      turns.heard(place, status, performance.now() - sentAtMs);
      sendNext();
      return true;
    };
    const { host, port } = load;
    // Read past the stream: on the cores of the servers, what the load takes is missing there.
    const onread = { buffer: READ, callback: heard };
    const socket: Socket = connect({ host, port, noDelay: true, onread });
    socket.once('connect', sendNext);
    socket.once('error', reject);
  });
}

const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;

/** The status once the whole answer is there, else 0. One answer at a time is under way. */
function wholeAnswer(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return 0;
  const length = CONTENT_LENGTH.exec(text)?.[1];
  if (length === undefined) {
    const isChunked = /\r\ntransfer-encoding: *chunked/i.test(text);
    if (isChunked && !text.endsWith('0\r\n\r\n')) return 0;
  } else if (text.length < headEnd + 4 + Number(length)) return 0;
  return Number(text.slice(9, 12));
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return percentile(sorted, 0.5);
}
