/** A whole gateway in the host's process: started, called, stopped. It handles no signal and never ends the process. */
import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { unanswered } from '../actors/control/unanswered.ts';
import { gatewayTree, refsOf, threadGroups } from '../actors/tree.ts';
import type { OperationName, OutputOf, RawInputOf } from '../proto/control/catalogue.ts';
import { SCOPES } from '../proto/control/operation.ts';
import { PalyraError } from '../proto/errors.ts';
import { createTraceId } from '../proto/ids.ts';
import type { ExitCause } from '../runtime/actor.ts';
import { createSystem } from '../runtime/create-system.ts';
import { AskError, codeOf, messageOf } from '../runtime/errors.ts';
import type { System } from '../runtime/system.ts';
import { logEvent } from './compose-events.ts';
import { openHostLine } from './compose-line.ts';
import { makeStateRoot, withdrawToken } from './compose-machine.ts';
import { kindsOf, makesToken, planOf, SYSTEM } from './compose-plan.ts';
import { packageVersion } from './compose-version.ts';
import type { CheckedConfig } from './config/checked-config.ts';
import { toLine } from './config/config-error.ts';
import { placeDuplicate } from './config/declared-twice.ts';
import type { ModelConfig } from './config/gateway-config.ts';
import { checkGiven } from './config/given-config.ts';
import { BeyondLoopback, isLoopback } from './config/listen.ts';
import { checkOptions, type GatewayOptions, logOf } from './gateway-options.ts';
import type { Log } from './log.ts';
import { lendHost, type ThreadArgs } from './thread-setup.ts';

export {
  type Accepted,
  CONVERSATION_BUSY,
  type Connector,
  type ConnectorAccount,
  type ConnectorDeps,
  type ConnectorKind,
  type ConnectorPorts,
  type DeliveryAttempt,
  type HealthObservation,
  type Liveness,
  type Readiness,
  type Refused,
} from '../connectors/connector.ts';
export type { KindSource } from '../connectors/kinds.ts';
export type { Attachment, DeliveryOutcome, InboundOffer } from '../proto/channel-messages.ts';
export { type ErrorCode, PalyraError } from '../proto/errors.ts';
export type { ConfigTable } from './config/given-config.ts';
export type { GatewayOptions } from './gateway-options.ts';

export interface GatewayHandle {
  /** Settles when everything runs and listens; rejects with a coded error, e.g. `state_root_unusable`, `store_locked`, `address_in_use`, and `address_refused` beyond loopback. */
  readonly ready: Promise<{ readonly http: string }>;
  /** Performs an operation of the control catalogue. Rejects with a `PalyraError`. */
  call<N extends OperationName>(operation: N, input: RawInputOf<N>): Promise<OutputOf<N>>;
  /** Drains and stops; settles when it is over, by the deadline (24 s) at the latest. Twice is once. */
  stop(options?: { readonly deadlineMs?: number }): Promise<void>;
  /**
   * Never rejects. `code` is what a process would exit with: 0 stopped · 74 the store failed · 4 another gateway has
   * it, its vault.key is missing, or its directory or address cannot be taken · 1 it is newer or corrupt · 2 the configuration is wrong, or contradicts it · 70 anything else.
   */
  readonly ended: Promise<{ readonly code: number; readonly cause: string }>;
}

const STOP_DEADLINE_MS = 24_000;
/** Of it, and at most a quarter of a shorter one: the tree stops in reverse, threads join. */
const TREE_STOP_MS = 6_000;
const CALL_DEADLINE_MS = 30_000;

const CODES: Readonly<Record<string, number>> = {
  store_failed: 74,
  store_locked: 4,
  store_newer: 1,
  store_older: 1,
  store_corrupt: 1,
  vault_key_missing: 4,
  duplicate_webhook: 2,
  config_invalid: 2,
  invalid_options: 2,
  state_root_unusable: 4,
  address_in_use: 4,
  address_refused: 4,
  address_unknown: 4,
};

/** Starts at once; see `ready`. Several may run in one process, each with its own state root. */
export function createGateway(options: GatewayOptions): GatewayHandle {
  return new Gateway(options);
}

class Gateway implements GatewayHandle {
  readonly ready: Promise<{ readonly http: string }>;
  readonly ended: Promise<{ readonly code: number; readonly cause: string }>;
  readonly #options: GatewayOptions;
  readonly #log: Log;
  readonly #refs = refsOf(SYSTEM);
  #system: System | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#log = logOf(options);
    this.ready = this.#start();
    this.ended = this.#end();
    // Whoever does not look at `ready` hears of the failure by `ended`.
    this.ready.catch(() => undefined);
  }

  async call<N extends OperationName>(operation: N, input: RawInputOf<N>): Promise<OutputOf<N>> {
    const system = this.#system;
    if (system === undefined) throw new PalyraError('unavailable', 'the gateway is not running');
    const call = {
      operation,
      input,
      principal: { name: 'host', scopes: SCOPES },
      idempotencyKey: '',
      trace: createTraceId(Math.random),
    };
    const reply = await system
      .ask(this.#refs.control, 'call', call, { inMs: CALL_DEADLINE_MS })
      .catch((error: unknown) => {
        throw error instanceof AskError ? unanswered(error) : error;
      });
    if (reply.ok && operation === 'vault.put') await this.#refreshToken(system);
    if (reply.ok) return reply.output as OutputOf<N>;
    const { code, message, ...details } = reply.error;
    throw new PalyraError(code, message, details);
  }

  stop(options: { readonly deadlineMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.deadlineMs ?? STOP_DEADLINE_MS);
    return this.#stopping;
  }

  async #start(): Promise<{ readonly http: string }> {
    const { connectors, threads, stateRoot, threadLimits } = checkOptions(this.#options);
    const checked = await checkGiven(this.#options.config, Object.keys(connectors));
    const { config } = checked;
    for (const warning of checked.warnings) this.#log('warn', `configuration: ${toLine(warning)}`);
    // Until TLS and an explicit acknowledgement exist, only this machine may reach the gateway.
    if (!isLoopback(config.http.host)) throw new BeyondLoopback(config.http);
    const gatewayId = randomUUID();
    await makeStateRoot(stateRoot);
    this.#warnOfReaders(stateRoot);
    const { model, history } = config;
    const kinds = kindsOf(config);
    const args: ThreadArgs = {
      gatewayId,
      stateRoot,
      model,
      history,
      kinds,
      hostKinds: connectors,
    };
    const host = { log: this.#log, reveal: (ref: string) => this.#reveal(ref) };
    const takeBack = lendHost(gatewayId, host);
    const line = openHostLine(gatewayId, host);
    try {
      const system = await createSystem({
        name: SYSTEM,
        threads: { ...threadLimits, pool: threads, groups: threadGroups(threads) },
        thread: { module: SETUP_MODULE, export: 'setup', args },
        onEvent: (event) => logEvent(this.#log, event),
      });
      this.#system = system;
      void system.ended.then(() => line.close());
    } catch (error) {
      line.close();
      throw error;
    } finally {
      takeBack();
    }
    return this.#raise(this.#system, checked, stateRoot);
  }

  /** A directory that was there keeps its mode: it may be more than the gateway's. */
  #warnOfReaders(stateRoot: string): void {
    const mode = statSync(stateRoot).mode & 0o777;
    if ((mode & 0o077) === 0) return;
    const fields = { stateRoot, mode: mode.toString(8) };
    this.#log('warn', 'other users may enter the state root; make it yours with chmod 700', fields);
  }

  /** Runs ask for it when they need it; who operates should know before. */
  async #warnOfModelKey(model: ModelConfig): Promise<void> {
    if (model.provider === 'echo' || model.apiKeyRef === '') return;
    try {
      const reply = await this.#reveal(model.apiKeyRef);
      if (reply.ok) return;
      const { apiKeyRef: ref } = model;
      this.#log('warn', 'the key of the model cannot be read', { ref, reason: reply.message });
    } catch (error) {
      if (this.#stopping !== undefined) return;
      this.#log('warn', 'the key of the model was not looked at', { code: codeOf(error) });
    }
  }

  async #raise(
    system: System,
    checked: CheckedConfig,
    stateRoot: string,
  ): Promise<{ readonly http: string }> {
    if (this.#stopping !== undefined)
      throw new PalyraError('stopping', 'stopped before it started');
    const { config } = checked;
    const version = packageVersion();
    const root = system.spawn(gatewayTree(planOf(config, version)));
    await system.started(root as never).catch((error: unknown) => {
      throw placeDuplicate(toFailedStart(error), checked);
    });
    if (!makesToken(config)) await withdrawToken(stateRoot);
    const { url } = await system.ask(this.#refs.http, 'where', null, { inMs: CALL_DEADLINE_MS });
    this.#log('info', 'the gateway is ready', { http: url, version });
    void this.#warnOfModelKey(config.model);
    return { http: url };
  }

  async #end(): Promise<{ readonly code: number; readonly cause: string }> {
    const failure = await this.ready.then(
      () => undefined,
      (error: unknown) => error,
    );
    const system = this.#system;
    const isAsked = this.#stopping !== undefined;
    if (failure !== undefined && !isAsked) await system?.stop({ deadlineMs: TREE_STOP_MS });
    const cause = await system?.ended;
    if (failure !== undefined && !isAsked) return toEnd(codeOf(failure), messageOf(failure));
    if (cause === undefined || cause.kind === 'stopped') return { code: 0, cause: 'stopped' };
    return toEnd(cause.code, causeText(cause));
  }

  async #stop(deadlineMs: number): Promise<void> {
    const endAtMs = performance.now() + deadlineMs;
    const treeStopMs = Math.min(TREE_STOP_MS, deadlineMs / 4);
    await untilSettled(this.ready, deadlineMs - treeStopMs);
    const system = this.#system;
    if (system === undefined) return;
    const drainMs = Math.max(0, endAtMs - performance.now() - treeStopMs);
    await system
      .ask(this.#refs.gateway, 'drain', { deadlineMs: drainMs }, { inMs: drainMs + 500 })
      .catch((error: unknown) => {
        this.#log('warn', 'the drain was cut short', { code: codeOf(error) });
      });
    await system.stop({ deadlineMs: Math.max(500, endAtMs - performance.now()) });
  }

  /** What was put may have been the admin token: the one before must not be valid on. */
  async #refreshToken(system: System): Promise<void> {
    try {
      await system.ask(this.#refs.http, 'refreshToken', null, { inMs: CALL_DEADLINE_MS });
    } catch (error) {
      this.#log('warn', 'the admin token is read again later', { code: codeOf(error) });
    }
  }

  #reveal(ref: string) {
    const system = this.#system;
    if (system === undefined) throw new PalyraError('unavailable', 'the gateway is not running');
    return system.ask(this.#refs.vault, 'reveal', { ref }, { inMs: CALL_DEADLINE_MS });
  }
}

const SETUP_MODULE = new URL(`./thread-setup${extname(import.meta.url)}`, import.meta.url).href;

/** Every supervisor on the way up names itself in the message; what happened stands at its end. */
function toFailedStart(error: unknown): Error {
  const message = messageOf(error).replace(/^(?:\S+ ended: \S+: start: )+/, '');
  return Object.assign(new Error(message, { cause: error }), { code: codeOf(error) });
}

function toEnd(code: string, message: string): { readonly code: number; readonly cause: string } {
  const known = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
  return { code: known ?? 70, cause: `${code}: ${message}` };
}

function causeText(cause: ExitCause): string {
  return cause.message ?? cause.kind;
}

async function untilSettled(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, Math.max(0, ms));
  });
  await Promise.race([
    work.then(
      () => undefined,
      () => undefined,
    ),
    late,
  ]);
  clearTimeout(timer);
}
