/** A local Bot API server for tests: it keeps Telegram's rules, plays scripted faults and logs what it accepted. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type CallParameters, createFaultScript, type FaultRule } from '../fault-script.ts';
import { answerJson, closeServer, listenOn } from '../http-exchange.ts';
import { createWatch } from '../watch.ts';
import { BotRefusal } from './bot-refusal.ts';
import { type AcceptedMessage, BotState, type PushedMessage } from './bot-state.ts';
import { type Chats, createChats } from './chats.ts';
import { answerControl } from './control.ts';
import { isCarriedOut, playOnConnection, refusalOf, type TelegramFault } from './faults.ts';
import { FloodBucket, type FloodLimit } from './flood-bucket.ts';
import { METHODS } from './methods.ts';
import { readParameters } from './parameters.ts';

export const DEFAULT_TOKEN = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';

export interface TelegramFakeOptions {
  readonly host?: string;
  /** 0 or none picks a free one. */
  readonly port?: number;
  /** One bot each; default `DEFAULT_TOKEN`. */
  readonly tokens?: readonly string[];
  /** Default `any`: every number is a chat. */
  readonly chats?: 'any' | readonly (string | number)[];
  /** Each bot has such a limit over all of its chats; default none. */
  readonly botLimit?: FloodLimit;
}

export interface FakeCall {
  readonly token: string;
  readonly method: string;
  readonly parameters: CallParameters;
  readonly atMs: number;
}

export interface TelegramFake {
  /** What `api_root` is set to. */
  readonly url: string;
  readonly chats: Chats;
  /** Every message accepted so far, oldest first. */
  readonly accepted: readonly AcceptedMessage[];
  /** The last 10,000 calls, oldest first. */
  readonly calls: readonly FakeCall[];
  bot(token?: string): BotState;
  /** Someone writes to the bot (the first one, unless `token` says which). */
  pushUpdate(message: PushedMessage, token?: string): { updateId: number; messageId: number };
  script(...rules: readonly FaultRule<TelegramFault>[]): void;
  clearScript(): void;
  /** Settles once so many messages are accepted, or the predicate holds for the log. */
  waitForAccepted(
    target: number | ((accepted: readonly AcceptedMessage[]) => boolean),
    deadlineMs: number,
  ): Promise<readonly AcceptedMessage[]>;
  /** Settles once `isTrue`, looked at after every call and change; the deadline's error names the fact. */
  until(fact: string, isTrue: (fake: TelegramFake) => boolean, deadlineMs: number): Promise<void>;
  /** The token is refused from now on (401), or taken again. */
  revoke(token: string): void;
  restore(token: string): void;
  /** As a server does that keeps connections for a short time only. */
  closeIdleConnections(): void;
  close(): Promise<void>;
}

const KEPT_CALLS = 10_000;
const BOT_PATH = /^\/bot([^/]+)\/(?:test\/)?([A-Za-z]+)$/;
const TOKEN_FORM = /^\d+:[\w-]+$/;

export async function startTelegramFake(options: TelegramFakeOptions = {}): Promise<TelegramFake> {
  const state = new FakeState(options);
  const server = createServer((request, response) => {
    // A client that is gone while it is served is part of what the fake is for.
    response.on('error', () => state.watch.changed());
    state.serve(request, response).catch((error: unknown) => {
      answerJson(response, 500, { ok: false, error_code: 500, description: String(error) });
    });
  });
  server.keepAliveTimeout = 60_000;
  const url = await listenOn(server, options.host ?? '127.0.0.1', options.port ?? 0);
  return state.toFake({
    url,
    closeIdleConnections: () => server.closeIdleConnections(),
    close: () => closeServer(server),
  });
}

class FakeState {
  readonly #bots = new Map<string, BotState>();
  readonly #revoked = new Set<string>();
  readonly #chats: Chats;
  readonly #accepted: AcceptedMessage[] = [];
  readonly #calls: FakeCall[] = [];
  readonly #faults = createFaultScript<TelegramFault>();
  readonly watch = createWatch(() => `${this.#accepted.length} messages accepted so far`);
  #fake: TelegramFake | undefined;

  constructor(options: TelegramFakeOptions) {
    this.#chats = createChats(options.chats ?? 'any');
    for (const token of options.tokens ?? [DEFAULT_TOKEN]) {
      const id = Number.parseInt(token, 10) || this.#bots.size + 1;
      this.#bots.set(token, new BotState(token, id, new FloodBucket(options.botLimit)));
    }
  }

  toFake(listener: Pick<TelegramFake, 'url' | 'closeIdleConnections' | 'close'>): TelegramFake {
    const fake: TelegramFake = {
      ...listener,
      chats: this.#chats,
      accepted: this.#accepted,
      calls: this.#calls,
      bot: (token) => this.#botOf(token),
      pushUpdate: (message, token) => {
        this.#chats.add(String(message.chatId));
        return this.#botOf(token).pushMessage(message, Date.now());
      },
      script: (...rules) => this.#faults.add(...rules),
      clearScript: () => this.#faults.clear(),
      async waitForAccepted(target, deadlineMs) {
        const isThere = (log: readonly AcceptedMessage[]) =>
          typeof target === 'number' ? log.length >= target : target(log);
        const fact = typeof target === 'number' ? `${target} messages accepted` : 'the awaited log';
        await fake.until(fact, () => isThere(fake.accepted), deadlineMs);
        return fake.accepted;
      },
      until: (fact, isTrue, deadlineMs) => this.watch.until(fact, () => isTrue(fake), deadlineMs),
      revoke: (token) => {
        this.#revoked.add(token);
        this.#botOf(token).interruptPoll(new BotRefusal(401, 'Unauthorized'));
      },
      restore: (token) => void this.#revoked.delete(token),
    };
    this.#fake = fake;
    return fake;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    if (url.pathname.startsWith('/__fake/')) {
      if (this.#fake !== undefined) await answerControl(this.#fake, request, response, url);
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const found = BOT_PATH.exec(url.pathname);
      const [, token = '', method = ''] = found ?? [];
      const parameters = await readParameters(request, url);
      if (found === null) throw new BotRefusal(404, 'Not Found');
      await this.#call(
        { token: decodeURIComponent(token), method, parameters },
        response,
        gone.signal,
      );
    } catch (error) {
      if (!(error instanceof BotRefusal)) throw error;
      answerJson(response, error.status, error.toJson());
    } finally {
      this.watch.changed();
    }
  }

  async #call(
    call: Omit<FakeCall, 'atMs'>,
    response: ServerResponse,
    gone: AbortSignal,
  ): Promise<void> {
    const atMs = Date.now();
    const { token, method, parameters } = call;
    const bot = this.#bots.get(token);
    this.#calls.push({ ...call, atMs });
    if (this.#calls.length > KEPT_CALLS) this.#calls.shift();
    this.watch.changed();
    if (bot === undefined && !TOKEN_FORM.test(token)) throw new BotRefusal(404, 'Not Found');
    if (bot === undefined || this.#revoked.has(token)) throw new BotRefusal(401, 'Unauthorized');
    const run = METHODS[method.toLowerCase()];
    if (run === undefined) throw new BotRefusal(404, 'Not Found: method not found');
    const fault = this.#faults.take(method, parameters);
    const refusal = fault === undefined ? undefined : refusalOf(fault);
    if (refusal !== undefined) throw refusal;
    if (fault !== undefined && !isCarriedOut(fault)) {
      await playOnConnection(fault, response, gone);
      return;
    }
    const running = run({
      bot,
      parameters,
      chats: this.#chats,
      atMs,
      signal: gone,
      accept: (message) => this.#accept(message),
    });
    this.watch.changed();
    const result = await running;
    if (fault !== undefined && (await playOnConnection(fault, response, gone))) return;
    answerJson(response, 200, { ok: true, result });
  }

  #accept(message: Omit<AcceptedMessage, 'index'>): void {
    this.#accepted.push({ index: this.#accepted.length, ...message });
    this.watch.changed();
  }

  #botOf(token: string | undefined): BotState {
    const bot = token === undefined ? this.#bots.values().next().value : this.#bots.get(token);
    if (bot === undefined) throw new Error('the fake has no bot of this token');
    return bot;
  }
}
