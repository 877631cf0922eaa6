/** One try to bring an account up: credential, kind, connector, platform. It says how far it came; when to try again is decided here too. */
import type {
  Connector,
  ConnectorKind,
  ConnectorPorts,
  Readiness,
} from '../../connectors/connector.ts';
import { createRedaction, type Redact } from '../../connectors/redaction.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
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

/** Why an account is not up. */
export interface Trouble {
  readonly readiness: Readiness;
  /** A code: it never holds a secret. */
  readonly reason: string;
  /** What was said of it, for the log, without the account's credential; '' for nothing. */
  readonly detail: string;
}

export interface Opening {
  readonly account: AccountArgs;
  readonly vault: ActorRef<VaultProtocol>;
  readonly deps: ConnectorActorDeps;
  readonly ports: ConnectorPorts;
  /** Hears of the kind before its options and the account's credential are looked at. */
  loaded(kind: ConnectorKind): void;
  /** Hears what takes the account's credential out of a text, before any code of the connector has it. */
  revealed(redact: Redact): void;
  /** Hears of the connector as soon as it exists, before the platform has answered. */
  created(connector: Connector): void;
}

const VAULT_DEADLINE_MS = 5_000;

export class OpeningFailed extends Error {
  readonly code: string;
  readonly trouble: Trouble;

  constructor(trouble: Trouble) {
    super(`the account is not up: ${trouble.reason}`);
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
  const redact = createRedaction(credential.trim());
  opening.revealed(redact);
  const connector = createConnector(opening, kind, redact, {
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
    throw new OpeningFailed(troubleOf(error, redact));
  }
}

async function loadKind({ account, deps, loaded }: Opening): Promise<ConnectorKind> {
  try {
    const kind = await deps.connectorKind(account.kind);
    loaded(kind);
    kind.checkOptions(account.options);
    return kind;
  } catch (error) {
    throw misconfigured(error, NOTHING_TO_REDACT);
  }
}

function misconfigured(error: unknown, redact: Redact): OpeningFailed {
  const detail = detailOf(error, redact);
  return new OpeningFailed({ readiness: 'misconfigured', reason: codeOf(error), detail });
}

async function reveal<P>({ account, vault }: Opening, self: Self<P>): Promise<string> {
  if (account.tokenRef === '') throw missing('the account has no token_ref');
  const reply = await self
    .ask(vault, 'reveal', { ref: account.tokenRef }, { inMs: VAULT_DEADLINE_MS })
    .catch((error: unknown) => {
      const detail = detailOf(error, NOTHING_TO_REDACT);
      throw new OpeningFailed({ readiness: 'ready', reason: codeOf(error), detail });
    });
  if (!reply.ok) throw missing(reply.message);
  if (reply.secret === '') throw missing(`nothing stands at ${account.tokenRef}`);
  return reply.secret;
}

function missing(detail: string): OpeningFailed {
  const reason = 'missing_credential';
  return new OpeningFailed({ readiness: reason, reason, detail });
}

function createConnector(
  { account }: Opening,
  kind: ConnectorKind,
  redact: Redact,
  deps: Parameters<ConnectorKind['create']>[1],
): Connector {
  try {
    const { connectorId, options } = account;
    return kind.create({ connectorId, kind: account.kind, options }, deps);
  } catch (error) {
    throw misconfigured(error, redact);
  }
}

/** A refused credential and wrong options are the account's; anything else is the way to the platform. */
export function troubleOf(error: unknown, redact: Redact): Trouble {
  if (error instanceof OpeningFailed) return error.trouble;
  const code = codeOf(error);
  const detail = detailOf(error, redact);
  if (code === 'auth_failed') return { readiness: 'auth_failed', reason: code, detail };
  if (code === 'invalid_options') return { readiness: 'misconfigured', reason: code, detail };
  return { readiness: 'ready', reason: code === 'uncoded' ? 'open_failed' : code, detail };
}

const NOTHING_TO_REDACT: Redact = (text) => text;
const MAX_CAUSES = 4;

/** The messages of an error and of those behind it, without the account's credential. */
export function detailOf(error: unknown, redact: Redact): string {
  const said: string[] = [];
  for (let one = error; one !== undefined && said.length < MAX_CAUSES; ) {
    said.push(messageOf(one));
    one = one instanceof Error ? one.cause : undefined;
  }
  return safeText(said.join(': '), redact);
}

const MAX_TEXT_CHARACTERS = 1_000;

/** What a connector's code says, as it may be shown: without the account's credential, and so long at most. */
export function safeText(text: unknown, redact: Redact): string {
  if (typeof text !== 'string') return '';
  // Redacted before it is cut: the beginning of a credential would stay.
  return redact(text.slice(0, 2 * MAX_TEXT_CHARACTERS)).slice(0, MAX_TEXT_CHARACTERS);
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
