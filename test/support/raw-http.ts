/** A TCP client that sends HTTP byte by byte, for what no well-behaved client sends. It parses no more than a test needs. */
import { createConnection, type Socket } from 'node:net';

export interface RawConnection {
  send(bytes: string | Uint8Array): void;
  /** Settles when the system has taken all that was sent, or the peer has closed; rejects at the deadline. */
  sent(): Promise<unknown>;
  /** Everything received so far, one character a byte. */
  received(): string;
  /** The first received text for which `seen` holds; rejects, naming `what`, when it never does. */
  until(what: string, seen: (text: string) => boolean, deadlineMs?: number): Promise<string>;
  /** Everything received, once the peer has closed; rejects at the deadline. */
  closed(deadlineMs?: number): Promise<string>;
  isClosed(): boolean;
  destroy(): void;
}

const DEADLINE_MS = 10_000;

export async function connectRaw(port: number, host = '127.0.0.1'): Promise<RawConnection> {
  const socket = await open(port, host);
  let text = '';
  let isClosed = false;
  const watchers = new Set<() => void>();
  const wake = () => {
    for (const watcher of watchers) watcher();
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  socket.on('drain', wake);
  socket.on('error', () => socket.destroy());
  const ended = () => {
    isClosed = true;
    wake();
  };
  socket.on('end', ended);
  socket.on('close', ended);
  const wait = (what: string, holds: () => boolean, deadlineMs: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = () => {
        if (!holds()) return;
        clearTimeout(timer);
        watchers.delete(check);
        resolve(text);
      };
      const timer = setTimeout(() => {
        watchers.delete(check);
        reject(
          new Error(
            `no ${what} within ${deadlineMs} ms; got ${JSON.stringify(text.slice(0, 500))}`,
          ),
        );
      }, deadlineMs);
      watchers.add(check);
      check();
    });
  return {
    send: (bytes) => socket.write(bytes),
    sent: () => wait('room', () => isClosed || socket.writableLength === 0, DEADLINE_MS),
    received: () => text,
    until: (what, seen, deadlineMs = DEADLINE_MS) => wait(what, () => seen(text), deadlineMs),
    closed: (deadlineMs = DEADLINE_MS) => wait('close', () => isClosed, deadlineMs),
    isClosed: () => isClosed,
    destroy: () => socket.destroy(),
  };
}

function open(port: number, host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host });
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Whether `count` whole answers with `content-length` have come. */
export function hasAnswers(count: number): (text: string) => boolean {
  return (text) => splitAnswers(text).length >= count;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The whole answers in a received text; `100 Continue` is left out. */
export function splitAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return answers;
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n');
    rest = rest.slice(end + 4);
    const status = Number(first.split(' ')[1]);
    if (status === 100) continue;
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const length = Number(headers['content-length'] ?? 0);
    if (rest.length < length) return answers;
    answers.push({ status, headers, body: rest.slice(0, length) });
    rest = rest.slice(length);
  }
}
