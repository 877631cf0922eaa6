/** A line between the threads of one gateway and its host: log lines go to the host, secrets come from it. In-process only. */
import type { SecretReply } from '../actors/vault/protocol.ts';
import { codeOf } from '../runtime/errors.ts';
import type { Log, LogLevel } from './log.ts';
import { limitRepeats } from './log-limit.ts';

type LineMessage =
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly type: 'reveal'; readonly id: string; readonly ref: string }
  | { readonly type: 'revealed'; readonly id: string; readonly reply: SecretReply };

export interface HostLine {
  close(): void;
}

export interface ThreadLine {
  readonly log: Log;
  /** `unreadable` where the host does not answer in time. */
  reveal(ref: string): Promise<SecretReply>;
  close(): void;
}

const REVEAL_DEADLINE_MS = 10_000;

/** The host's end, on main. */
export function openHostLine(
  gatewayId: string,
  host: { readonly log: Log; reveal(ref: string): Promise<SecretReply> },
): HostLine {
  const channel = openChannel(gatewayId);
  channel.onmessage = (event: unknown) => {
    const message = messageOf(event);
    if (message.type === 'log') host.log(message.level, message.message, message.fields);
    if (message.type !== 'reveal') return;
    const { id } = message;
    host.reveal(message.ref).then(
      (reply) => send(channel, { type: 'revealed', id, reply }),
      (error: unknown) => send(channel, { type: 'revealed', id, reply: unreadable(codeOf(error)) }),
    );
  };
  return { close: () => channel.close() };
}

/** A thread's end. */
export function openThreadLine(gatewayId: string, thread: string): ThreadLine {
  const channel = openChannel(gatewayId);
  const waiting = new Map<string, (reply: SecretReply) => void>();
  let asked = 0;
  channel.onmessage = (event: unknown) => {
    const message = messageOf(event);
    if (message.type === 'revealed') waiting.get(message.id)?.(message.reply);
  };
  const { log, sayLeftOut } = limitRepeats((level, message, fields = {}) =>
    send(channel, { type: 'log', level, message, fields: toPlain({ ...fields, at: thread }) }),
  );
  return {
    log,
    reveal(ref) {
      asked += 1;
      const id = `${thread}/${asked}`;
      return new Promise<SecretReply>((resolve) => {
        const timer = setTimeout(
          () => settle(unreadable('the host did not answer')),
          REVEAL_DEADLINE_MS,
        );
        const settle = (reply: SecretReply) => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(reply);
        };
        waiting.set(id, settle);
        send(channel, { type: 'reveal', id, ref });
      });
    },
    close() {
      sayLeftOut();
      channel.close();
    },
  };
}

type Channel = InstanceType<typeof BroadcastChannel>;

function openChannel(gatewayId: string): Channel {
  const channel = new BroadcastChannel(`palyra:${gatewayId}`);
  channel.unref();
  return channel;
}

function messageOf(event: unknown): LineMessage {
  return (event as { readonly data: LineMessage }).data;
}

// After the close of a stopping gateway nobody listens any more.
function send(channel: Channel, message: LineMessage): void {
  try {
    channel.postMessage(message);
  } catch (error) {
    if (codeOf(error) !== 'uncoded' && codeOf(error) !== 'InvalidStateError') return;
  }
}

function unreadable(message: string): SecretReply {
  return { ok: false, code: 'unreadable', message };
}

/** What can cross threads: an error keeps its code, anything strange becomes its text. */
function toPlain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, toPlainValue(value)]),
  );
}

function toPlainValue(value: unknown): unknown {
  if (value instanceof Error) {
    return {
      name: value.name,
      code: codeOf(value),
      message: value.message,
      stack: value.stack ?? '',
    };
  }
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'function' || typeof value === 'symbol' ? `[${typeof value}]` : value;
  }
  try {
    return JSON.parse(JSON.stringify(value)) as unknown;
  } catch {
    return '[not plain]';
  }
}
