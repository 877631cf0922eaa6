/** What the HTTP listener is given and what it holds. */
import type { ActorRef } from '../../runtime/actor.ts';
import { FairShares } from '../../runtime/fair-shares.ts';
import type { GatewayPorts } from '../../transports/http/gateway-ports.ts';
import type { ChannelsProtocol } from '../channels/protocol.ts';
import type { ControlProtocol } from '../control/protocol.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import type { RouterProtocol } from '../router/protocol.ts';
import type { WebhookEntry, WebhooksProtocol } from '../webhooks/protocol.ts';
import type { TokenSource } from './admin-token.ts';
import type { Pulse } from './readiness.ts';

export interface HttpListenerArgs extends TokenSource {
  readonly host: string;
  /** 0 picks a free one at the first start; a restart takes the same again. */
  readonly port: number;
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly control: ActorRef<ControlProtocol>;
  readonly channels: ActorRef<ChannelsProtocol>;
  readonly webhooks: ActorRef<WebhooksProtocol>;
  readonly router: ActorRef<RouterProtocol>;
}

const MAX_INGEST_BYTES = 64 * 1_024 * 1_024;

export interface Bound {
  readonly host: string;
  readonly port: number;
}

/** An open server. */
export interface HttpListening extends Bound {
  stopListening(): Promise<void>;
  close(graceMs: number): Promise<void>;
}

export interface HttpListenerDeps {
  openHttp(
    options: { readonly host: string; readonly port: number },
    ports: GatewayPorts,
  ): Promise<HttpListening>;
  /** Outlives the incarnations of the listener: where the first one listened. */
  readonly bound: { get(): Bound | undefined; set(bound: Bound): void };
  /** Puts a token that the gateway made where its owner finds it, and tells the log where that is. */
  publishToken(token: string): Promise<void>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

export interface HttpListenerState {
  readonly args: HttpListenerArgs;
  readonly deps: HttpListenerDeps;
  readonly pulses: readonly [ledger: Pulse, control: Pulse, channels: Pulse];
  /** undefined until the webhooks have told it. */
  directory: ReadonlyMap<string, WebhookEntry> | undefined;
  /** By integration: how many events got which answer. */
  readonly tallies: Map<string, Record<string, number>>;
  /** Integrations whose numbers the webhooks have not been told. */
  readonly untold: Set<string>;
  /** The bytes of webhook bodies that are being checked or admitted, by integration. */
  readonly ingest: FairShares;
  token: Uint8Array | undefined;
  /** What stands in the token's file. */
  publishedToken: Uint8Array | undefined;
  /** Settles when the token was read last; one reading follows another. */
  tokenRead: Promise<void>;
  /** As `/readyz` says, whatever else is well. */
  isUnready: boolean;
  isStopping: boolean;
  isAdmitting: boolean;
  commitAgeMs: number;
  hasConnectorTrouble: boolean;
  server: HttpListening | undefined;
  readonly isTokenKnown: boolean;
  readonly isDirectoryKnown: boolean;
}

export function createHttpState(
  args: HttpListenerArgs,
  deps: HttpListenerDeps,
  nowMs: number,
): HttpListenerState {
  return {
    args,
    deps,
    pulses: [
      { name: 'ledger', isVital: true, lastAnswerAtMs: nowMs },
      { name: 'control', isVital: false, lastAnswerAtMs: nowMs },
      { name: 'channels', isVital: false, lastAnswerAtMs: nowMs },
    ],
    directory: undefined,
    tallies: new Map(),
    untold: new Set(),
    ingest: new FairShares(MAX_INGEST_BYTES),
    token: undefined,
    publishedToken: undefined,
    tokenRead: Promise.resolve(),
    isUnready: false,
    isStopping: false,
    isAdmitting: true,
    commitAgeMs: 0,
    hasConnectorTrouble: false,
    server: undefined,
    get isTokenKnown() {
      return this.token !== undefined;
    },
    get isDirectoryKnown() {
      return this.directory !== undefined;
    },
  };
}

export function urlOf({ host, port }: Bound): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
