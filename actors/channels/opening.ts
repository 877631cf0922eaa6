/** One try to bring an account up: credential, kind, connector, platform. It says how far it came; when to try again is decided here too. */
import type {
  Connector,
  ConnectorKind,
  ConnectorPorts,
  Readiness,
} from '../../connectors/connector.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { VaultProtocol } from '../vault/protocol.ts';

export interface AccountArgs {
  readonly connectorId: string;
  readonly kind: string;
  /** '' for none. */
  readonly tokenRef: string;
  readonly onUnknown: 'retry' | 'hold';
  /** How old a delivery may become while the account can send, and while it cannot. */
  readonly maxAgeMs: number;
  readonly parkedMaxAgeMs: number;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface ConnectorActorDeps {
  /** Loads the kind's code, and with it its library, into this thread. */
  connectorKind(kind: string): Promise<ConnectorKind>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

/** Why an account is not up. `reason` is a code: it never holds a secret. */
export interface Trouble {
  readonly readiness: Readiness;
  readonly reason: string;
}

export interface Opening {
  readonly account: AccountArgs;
  readonly vault: ActorRef<VaultProtocol>;
  readonly deps: ConnectorActorDeps;
  readonly ports: ConnectorPorts;
  /** Hears of the kind before its options and the account's credential are looked at. */
  loaded(kind: ConnectorKind): void;
  /** Hears of the connector as soon as it exists, before the platform has answered. */
  created(connector: Connector): void;
}

const VAULT_DEADLINE_MS = 5_000;

export class OpeningFailed extends Error {
  readonly code: string;
  readonly trouble: Trouble;

  constructor(trouble: Trouble, options: { readonly cause?: unknown } = {}) {
    super(`the account is not up: ${trouble.reason}`, options);
    this.name = 'OpeningFailed';
    this.code = trouble.reason;
    this.trouble = trouble;
  }
}

/** Settles when the platform took the credential; rejects with `OpeningFailed`. */
export async function openAccount<P>(
  opening: Opening,
  self: Self<P>,
  signal: AbortSignal,
): Promise<void> {
  const { account, deps } = opening;
  const kind = await loadKind(opening);
  const credential = kind.needsCredential ? await reveal(opening, self) : '';
  const connector = createConnector(opening, kind, {
    credential,
    wallMs: () => self.clock.wallMs(),
    sleep: deps.sleep,
    random: self.random,
    log: (level, message, fields) =>
      deps.log(level, message, { ...fields, connector: account.connectorId }),
  });
  opening.created(connector);
  try {
    await connector.open(opening.ports, signal);
  } catch (error) {
    throw new OpeningFailed(troubleOf(error), { cause: error });
  }
}

async function loadKind({ account, deps, loaded }: Opening): Promise<ConnectorKind> {
  try {
    const kind = await deps.connectorKind(account.kind);
    loaded(kind);
    kind.checkOptions(account.options);
    return kind;
  } catch (error) {
    throw new OpeningFailed(
      { readiness: 'misconfigured', reason: codeOf(error) },
      { cause: error },
    );
  }
}

async function reveal<P>({ account, vault }: Opening, self: Self<P>): Promise<string> {
  const missing: Trouble = { readiness: 'missing_credential', reason: 'missing_credential' };
  if (account.tokenRef === '') throw new OpeningFailed(missing);
  const reply = await self
    .ask(vault, 'reveal', { ref: account.tokenRef }, { inMs: VAULT_DEADLINE_MS })
    .catch((error: unknown) => {
      throw new OpeningFailed({ readiness: 'ready', reason: codeOf(error) }, { cause: error });
    });
  if (!reply.ok || reply.secret === '') throw new OpeningFailed(missing);
  return reply.secret;
}

function createConnector(
  { account }: Opening,
  kind: ConnectorKind,
  deps: Parameters<ConnectorKind['create']>[1],
): Connector {
  try {
    const { connectorId, options } = account;
    return kind.create({ connectorId, kind: account.kind, options }, deps);
  } catch (error) {
    throw new OpeningFailed(
      { readiness: 'misconfigured', reason: codeOf(error) },
      { cause: error },
    );
  }
}

/** A refused credential and wrong options are the account's; anything else is the way to the platform. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof OpeningFailed) return error.trouble;
  const code = codeOf(error);
  if (code === 'auth_failed') return { readiness: 'auth_failed', reason: code };
  if (code === 'invalid_options') return { readiness: 'misconfigured', reason: code };
  return { readiness: 'ready', reason: code === 'uncoded' ? 'open_failed' : code };
}

const NETWORK_RETRY = { minMs: 1_000, maxMs: 60_000 } as const;
// A person has to act first; each try costs the platform a request.
const CREDENTIAL_RETRY = { minMs: 15_000, maxMs: 300_000 } as const;

/** Doubling, with up to a quarter of jitter; slower where a person has to act. `tries` counts from 1. */
export function reopenDelayMs(trouble: Trouble, tries: number, random: number): number {
  const { minMs, maxMs } = trouble.readiness === 'ready' ? NETWORK_RETRY : CREDENTIAL_RETRY;
  const delayMs = Math.min(maxMs, minMs * 2 ** Math.min(tries - 1, 16));
  return Math.round(delayMs * (1 - 0.25 * random));
}
