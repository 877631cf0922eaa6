/** The phases of an orderly stop, up to where the tree itself is stopped. Each has its own deadline. */
import type { ActorRef, Self } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { ChannelsProtocol } from '../channels/protocol.ts';
import type { HttpListenerProtocol } from '../listeners/protocol.ts';
import type { OutboxProtocol } from '../outbox/protocol.ts';
import type { SessionsProtocol } from '../sessions/protocol.ts';

export interface Drained {
  readonly listener: ActorRef<HttpListenerProtocol>;
  readonly channels: ActorRef<ChannelsProtocol>;
  readonly sessions: ActorRef<SessionsProtocol>;
  readonly outbox: ActorRef<OutboxProtocol>;
  /** For so long it is unready and serves on, for whoever balances load to see it; at most half of the drain's time. */
  readonly unreadyMs: number;
}

export interface DrainPorts {
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  log(level: 'info' | 'warn', message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface DrainReport {
  readonly clean: boolean;
  readonly left: readonly string[];
}

const STOP_RECEIVING_MS = 4_000;
const RUNS_MS = 10_000;
const OUTBOX_MS = 8_000;
const LOOK_AGAIN_MS = 50;
const ASK_MS = 1_000;

type DrainSelf = Pick<Self<unknown>, 'ask' | 'clock' | 'signal'>;

/**
 * 0 readiness false · 1 nothing is received any more · 2 runs finish · 3 what is due is sent. What is left is durable
 * and goes on at the next start. Never rejects.
 */
export async function drain(
  parts: Drained,
  self: DrainSelf,
  ports: DrainPorts,
  deadlineMs: number,
): Promise<DrainReport> {
  const endMs = self.clock.monotonicMs() + deadlineMs;
  const left: string[] = [];
  const within = (ms: number) => Math.max(0, Math.min(ms, endMs - self.clock.monotonicMs()));
  await turnUnready(parts, self, ports, within(Math.min(parts.unreadyMs, deadlineMs / 2)));
  ports.log('info', 'stopping: nothing is received any more');
  left.push(...(await stopReceiving(parts, self, within(STOP_RECEIVING_MS))));
  const openRuns = () =>
    self.ask(parts.sessions, 'open', null, { inMs: ASK_MS }).then(({ runs }) => runs);
  left.push(...(await untilNone('runs', openRuns, { self, ports, forMs: within(RUNS_MS) })));
  const due = () =>
    self.ask(parts.outbox, 'due', null, { inMs: ASK_MS }).then(({ deliveries }) => deliveries);
  left.push(...(await untilNone('deliveries', due, { self, ports, forMs: within(OUTBOX_MS) })));
  ports.log(left.length === 0 ? 'info' : 'warn', 'stopping: the tree stops now', { left });
  return { clean: left.length === 0, left };
}

/** A listener that does not answer has nobody who would see it: there is nothing to wait for. */
async function turnUnready(
  { listener }: Drained,
  self: DrainSelf,
  ports: DrainPorts,
  forMs: number,
): Promise<void> {
  if (forMs === 0) return;
  ports.log('info', 'stopping: unready', { forMs });
  await self
    .ask(listener, 'turnUnready', null, { inMs: ASK_MS })
    .then(() => ports.sleep(forMs, self.signal))
    .catch(() => undefined);
}

async function stopReceiving(
  { listener, channels }: Drained,
  self: DrainSelf,
  inMs: number,
): Promise<readonly string[]> {
  const [listening, receiving] = await Promise.allSettled([
    self.ask(listener, 'stopListening', null, { inMs }),
    self.ask(channels, 'stopReceiving', null, { inMs }),
  ]);
  return [
    ...(listening.status === 'rejected' ? [`listener: ${codeOf(listening.reason)}`] : []),
    ...(receiving.status === 'rejected' ? [`channels: ${codeOf(receiving.reason)}`] : []),
  ];
}

interface Wait {
  readonly self: DrainSelf;
  readonly ports: DrainPorts;
  readonly forMs: number;
}

/** Looks until there is none; says how many are left at the end, or why that is not known. */
async function untilNone(
  what: string,
  count: () => Promise<number>,
  { self, ports, forMs }: Wait,
): Promise<readonly string[]> {
  const endMs = self.clock.monotonicMs() + forMs;
  for (;;) {
    const found = await count().then(
      (open) => (open === 0 ? '' : `${open} ${what}`),
      (error: unknown) => `${what}: ${codeOf(error)}`,
    );
    if (found === '') return [];
    if (self.clock.monotonicMs() >= endMs || self.signal.aborted) return [found];
    await ports.sleep(LOOK_AGAIN_MS, self.signal).catch(() => undefined);
  }
}
