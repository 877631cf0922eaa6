/** The HTTP listener: binds, and lets the routes ask the actors. Main thread: the engine aborts the process with a worker. */
import { type ActorRef, defineActor, type Self, type Settled } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { LedgerHealth } from '../ledger/protocol.ts';
import type { WebhookEntry } from '../webhooks/protocol.ts';
import {
  createHttpState,
  type HttpListenerArgs,
  type HttpListenerDeps,
  type HttpListenerState,
  type HttpListening,
  urlOf,
} from './http-state.ts';
import { createPorts, tellTallies } from './ports.ts';
import type { HttpListenerProtocol } from './protocol.ts';
import { readToken } from './token-reading.ts';

interface Own {
  ping(nothing: null): void;
  ledgerTold(outcome: Settled<LedgerHealth>): void;
  controlTold(outcome: Settled<{ readonly alive: true }>): void;
  channelsTold(outcome: Settled<{ readonly accounts: number }>): void;
  askDirectory(nothing: null): void;
  directoryTold(outcome: Settled<readonly WebhookEntry[]>): void;
  askToken(nothing: null): void;
  tokenTold(outcome: Settled<void>): void;
  tellTallies(nothing: null): void;
}

type ListenerSelf = Self<HttpListenerProtocol & Own>;

const PING_MS = 1_000;
const DIRECTORY_AGAIN_MS = 500;
const TOKEN_AGAIN_MS = 5_000;
const TOKEN_REFRESH_MS = 60_000;
const ASK_DEADLINE_MS = 3_000;
// A restarted listener may meet its predecessor's socket still closing.
const BIND_TRIES = 20;
const BIND_AGAIN_MS = 100;
const CLOSE_GRACE_MS = 2_000;

export const httpListenerActor = defineActor<
  HttpListenerProtocol,
  Own,
  HttpListenerArgs,
  HttpListenerState,
  HttpListenerDeps
>({
  module: import.meta.url,
  export: 'httpListenerActor',
  name: 'http-listener',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  async start(self, args, deps) {
    const state = createHttpState(args, deps, self.clock.monotonicMs());
    // Known before the port opens, where they can be; else they are learned while it is open.
    const [directory] = await Promise.all([fetchDirectory(args, self), readToken(state, self)]);
    if (directory.ok) takeDirectory(state, directory.value);
    state.server = await bind(state, self);
    const { server } = state;
    if (self.signal.aborted) await server.close(0);
    deps.bound.set({ host: server.host, port: server.port });
    self.signal.addEventListener('abort', () => closeLeftOver(state), { once: true });
    self.watch(args.webhooks as ActorRef<never>);
    self.after('ping', PING_MS, 'ping', null);
    if (!directory.ok) self.after('directory', DIRECTORY_AGAIN_MS, 'askDirectory', null);
    self.after('token', tokenAgainMs(state), 'askToken', null);
    return state;
  },
  receive: {
    where: (state) => ({ url: state.server === undefined ? '' : urlOf(state.server) }),
    webhooks: (state, directory) => takeDirectory(state, directory),
    turnUnready(state) {
      state.isUnready = true;
      return { unready: true };
    },
    async stopListening(state) {
      state.isStopping = true;
      await state.server?.stopListening();
      return { stopped: true };
    },
    ping(state, _nothing, self) {
      const { ledger, control, channels } = state.args;
      const deadline = { inMs: ASK_DEADLINE_MS };
      self.run(
        () => self.ask(ledger, 'health', null, deadline),
        'ledgerTold',
        (outcome) => outcome,
      );
      self.run(
        () => self.ask(control, 'ping', null, deadline),
        'controlTold',
        (outcome) => outcome,
      );
      self.run(
        () => self.ask(channels, 'trouble', null, deadline),
        'channelsTold',
        (outcome) => outcome,
      );
      self.after('ping', PING_MS, 'ping', null);
    },
    ledgerTold(state, outcome, self) {
      if (!outcome.ok) return;
      state.pulses[0].lastAnswerAtMs = self.clock.monotonicMs();
      state.isAdmitting = outcome.value.admitting;
      state.commitAgeMs = outcome.value.commitAgeMs;
    },
    controlTold(state, outcome, self) {
      if (outcome.ok) state.pulses[1].lastAnswerAtMs = self.clock.monotonicMs();
    },
    channelsTold(state, outcome, self) {
      if (!outcome.ok) return;
      state.pulses[2].lastAnswerAtMs = self.clock.monotonicMs();
      state.hasConnectorTrouble = outcome.value.accounts > 0;
    },
    askDirectory(state, _nothing, self) {
      self.run(
        () => askDirectory(state.args, self),
        'directoryTold',
        (outcome) => outcome,
      );
    },
    tellTallies,
    directoryTold(state, outcome, self) {
      if (outcome.ok) takeDirectory(state, outcome.value);
      else self.after('directory', DIRECTORY_AGAIN_MS, 'askDirectory', null);
    },
    askToken(state, _nothing, self) {
      self.run(
        () => readToken(state, self),
        'tokenTold',
        (outcome) => outcome,
      );
    },
    tokenTold(state, _outcome, self) {
      self.after('token', tokenAgainMs(state), 'askToken', null);
    },
    async refreshToken(state, _nothing, self) {
      await readToken(state, self);
      return { known: state.isTokenKnown };
    },
  },
  down(state, _down, self) {
    self.watch(state.args.webhooks as ActorRef<never>);
    self.after('directory', DIRECTORY_AGAIN_MS, 'askDirectory', null);
  },
  async stop(state) {
    const { server } = state;
    state.isStopping = true;
    state.server = undefined;
    await server?.stopListening();
    await server?.close(CLOSE_GRACE_MS);
  },
});

function askDirectory(
  { webhooks }: HttpListenerArgs,
  self: ListenerSelf,
): Promise<readonly WebhookEntry[]> {
  return self.ask(webhooks, 'directory', null, { inMs: ASK_DEADLINE_MS });
}

function fetchDirectory(
  args: HttpListenerArgs,
  self: ListenerSelf,
): Promise<Settled<readonly WebhookEntry[]>> {
  return settled(askDirectory(args, self));
}

function settled<T>(work: Promise<T>): Promise<Settled<T>> {
  return work.then(
    (value): Settled<T> => ({ ok: true, value }),
    (error: unknown): Settled<T> => ({ ok: false, error }),
  );
}

function takeDirectory(state: HttpListenerState, entries: readonly WebhookEntry[]): void {
  state.directory = new Map(entries.map((entry) => [entry.integrationId, entry]));
}

function tokenAgainMs({ isTokenKnown }: HttpListenerState): number {
  return isTokenKnown ? TOKEN_REFRESH_MS : TOKEN_AGAIN_MS;
}

async function bind(state: HttpListenerState, self: ListenerSelf): Promise<HttpListening> {
  const { args, deps } = state;
  const remembered = deps.bound.get()?.port;
  const options = { host: args.host, port: remembered ?? args.port };
  const ports = createPorts(state, self);
  for (let tries = 1; ; tries += 1) {
    try {
      return await deps.openHttp(options, ports);
    } catch (error) {
      if (remembered === undefined || tries >= BIND_TRIES) throw error;
      deps.log('warn', 'the port is not free again yet', { port: remembered, code: codeOf(error) });
    }
    await deps.sleep(BIND_AGAIN_MS, self.signal);
  }
}

/** However this incarnation ended: its successor needs the port. */
function closeLeftOver(state: HttpListenerState): void {
  const { server } = state;
  state.isStopping = true;
  state.server = undefined;
  server?.close(0).catch((error: unknown) => {
    state.deps.log('warn', 'the HTTP server did not close in order', { code: codeOf(error) });
  });
}
