/** A load of prepared HTTP requests over keep-alive connections, cheap enough not to be the limit: no client library. */
import { connect, type Socket } from 'node:net';

export interface Load {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Whole requests, head and body; each is sent once. */
  readonly requests: readonly Buffer[];
  readonly expectStatus: number;
}

export interface LoadResult {
  readonly answered: number;
  /** Answers with another status than the expected one. */
  readonly unexpected: number;
  /** Sorted, milliseconds from sending to the whole answer. */
  readonly latenciesMs: readonly number[];
}

export async function runLoad(load: Load): Promise<LoadResult> {
  let next = 0;
  let unexpected = 0;
  const latenciesMs: number[] = [];
  const take = () => {
    const request = load.requests[next];
    next += 1;
    return request;
  };
  const heard = (status: number, ms: number) => {
    latenciesMs.push(ms);
    if (status !== load.expectStatus) unexpected += 1;
  };
  await Promise.all(
    Array.from({ length: load.connections }, () => runConnection(load, take, heard)),
  );
  return {
    answered: latenciesMs.length,
    unexpected,
    latenciesMs: latenciesMs.sort((a, b) => a - b),
  };
}

function runConnection(
  load: Load,
  take: () => Buffer | undefined,
  heard: (status: number, ms: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: load.host, port: load.port, noDelay: true });
    let pending = '';
    let sentAtMs = 0;
    const send = () => {
      const request = take();
      if (request === undefined) {
        socket.end();
        resolve();
        return;
      }
      sentAtMs = performance.now();
      socket.write(request);
    };
    socket.setEncoding('latin1');
    socket.once('connect', send);
    socket.once('error', reject);
    socket.on('data', (chunk: string) => {
      pending += chunk;
      const status = wholeAnswer(pending);
      if (status === 0) return;
      pending = '';
      heard(status, performance.now() - sentAtMs);
      send();
    });
  });
}

/** The status once the whole answer is there, else 0. One answer at a time is under way. */
function wholeAnswer(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return 0;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1];
  if (length === undefined) {
    if (
      /\r\ntransfer-encoding: *chunked/i.test(text.slice(0, headEnd)) &&
      !text.endsWith('0\r\n\r\n')
    )
      return 0;
  } else if (text.length < headEnd + 4 + Number(length)) return 0;
  return Number(text.slice(9, 12));
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
