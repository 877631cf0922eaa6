/** All integrations of this gateway with their actors: read from configuration and store, started, announced. */
import { type ActorRef, child, type Self } from '../../runtime/actor.ts';
import type { JobsProtocol } from '../../runtime/jobs/protocol.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import type { HttpListenerProtocol } from '../listeners/protocol.ts';
import type { VaultProtocol } from '../vault/protocol.ts';
import type { WebhookEntry, WebhookProtocol, WebhooksProtocol } from './protocol.ts';
import { type DeclaredWebhook, type Integration, toIntegration, WEBHOOKS_TABLE } from './rows.ts';
import { makeSecret } from './secrets.ts';
import { webhookActor } from './webhook-actor.ts';

const LEDGER_DEADLINE_MS = 10_000;
const PAGE_ROWS = 500;
// A listener that is not there yet, or no longer, is tried again soon; one that is there hears the list now and then.
const ANNOUNCE_SOON_MS = 250;
const ANNOUNCE_AGAIN_MS = 5_000;
const MAKE_SECRETS_AGAIN_MS = 2_000;

export interface WebhooksArgs {
  /** Those of the configuration file. */
  readonly integrations: readonly DeclaredWebhook[];
  /** Ids of the connectors that deliveries may go to. */
  readonly connectors: readonly string[];
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly vault: ActorRef<VaultProtocol>;
  readonly jobs: ActorRef<JobsProtocol>;
  readonly listener: ActorRef<HttpListenerProtocol>;
}

export interface WebhooksDeps {
  log(level: 'warn', message: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface WebhooksOwn {
  announce(nothing: null): void;
  /** Takes in what the store has and this actor has not: after a commit whose outcome nobody heard. */
  reconcile(nothing: null): void;
  makeSecrets(nothing: null): void;
}

export interface Member {
  readonly integration: Integration;
  readonly ref: ActorRef<WebhookProtocol>;
  /** What became of its events, as the listener told last. */
  tally: Readonly<Record<string, number>>;
}

export interface WebhooksState {
  readonly args: WebhooksArgs;
  /** By integration id. */
  readonly members: Map<string, Member>;
  isListenerWatched: boolean;
}

export type WebhooksSelf = Self<WebhooksProtocol & WebhooksOwn>;

/** The same id in the configuration file and in the store: which one counts must not be a guess. */
export class DuplicateWebhook extends Error {
  readonly code = 'duplicate_webhook';
  readonly retryable = false;
  readonly integrationId: string;

  constructor(integrationId: string) {
    super(
      `webhook ${JSON.stringify(integrationId)} is declared in the configuration file and was also created by \`webhooks add\`; rename the one in the file`,
    );
    this.name = 'DuplicateWebhook';
    this.integrationId = integrationId;
  }
}

/** Every integration that `webhooks add` created. */
export async function readStored(
  self: Pick<Self<unknown>, 'ask'>,
  ledger: ActorRef<LedgerProtocol>,
): Promise<readonly Integration[]> {
  const stored: Integration[] = [];
  for (let after = ''; ; ) {
    const query = { table: WEBHOOKS_TABLE, after, limit: PAGE_ROWS };
    const page = await self.ask(ledger, 'scan', query, { inMs: LEDGER_DEADLINE_MS });
    stored.push(...page.rows.map(({ key, row }) => toIntegration(key, row)));
    if (page.next === '') return stored;
    after = page.next;
  }
}

/** Starts the integration's actor, on the pool thread that its id hashes to. */
export function enlist(state: WebhooksState, self: WebhooksSelf, integration: Integration): Member {
  const { vault, jobs } = state.args;
  const { integrationId } = integration;
  const ref = self.spawn(
    child(webhookActor, {
      // An integration id may start with a dot, a child id not.
      id: `hook:${integrationId}`,
      args: { integration, vault, jobs },
      placement: { hash: `webhook:${integrationId}`, group: 'webhooks' },
    }),
  );
  const member: Member = { integration, ref, tally: {} };
  state.members.set(integrationId, member);
  return member;
}

/** Whether somebody sends the replies to its events; the store may name a connector that has left the configuration. */
export function canReply({ args }: WebhooksState, { replyTo }: Integration): boolean {
  return replyTo === undefined || args.connectors.includes(replyTo.connectorId);
}

export function directory(state: WebhooksState): readonly WebhookEntry[] {
  return [...state.members.values()].map(({ integration, ref }) => ({
    integrationId: integration.integrationId,
    channel: `webhook:${integration.integrationId}`,
    enabled: integration.enabled,
    maxPayloadBytes: integration.maxPayloadBytes,
    replyTo: integration.replyTo ?? null,
    ref,
  }));
}

/** Tells the listener the whole list now, and again after a while. */
export function announce(state: WebhooksState, self: WebhooksSelf): void {
  const { listener } = state.args;
  if (!state.isListenerWatched) {
    state.isListenerWatched = true;
    self.watch(listener as ActorRef<never>);
  }
  const isTaken = self.tell(listener, 'webhooks', directory(state));
  self.after('announce', isTaken ? ANNOUNCE_AGAIN_MS : ANNOUNCE_SOON_MS, 'announce', null);
}

/** The listener is gone or not there yet: its next incarnation needs the list. */
export function listenerDown(state: WebhooksState, self: WebhooksSelf): void {
  state.isListenerWatched = false;
  self.after('announce', ANNOUNCE_SOON_MS, 'announce', null);
}

/**
 * Makes the secrets that the configuration asks the gateway to make. Never one that stands already; what fails is tried
 * again, and until then the webhook answers that its secret is missing.
 */
export async function makeSecrets(state: WebhooksState, self: WebhooksSelf): Promise<void> {
  const { integrations, vault } = state.args;
  const refs = integrations.flatMap(({ generateSecret, secretRefs }) =>
    generateSecret === true ? secretRefs.slice(0, 1) : [],
  );
  try {
    for (const ref of refs) {
      const { reason } = await makeSecret(self, vault, ref, false);
      if (reason !== '' && reason !== 'already_exists') throw new Error(reason);
    }
  } catch {
    self.after('makeSecrets', MAKE_SECRETS_AGAIN_MS, 'makeSecrets', null);
  }
}

/** Declared and stored ones; throws `DuplicateWebhook` where both declare one id. */
export function withoutDuplicates(
  declared: readonly DeclaredWebhook[],
  stored: readonly Integration[],
): readonly Integration[] {
  const ids = new Set(declared.map(({ integrationId }) => integrationId));
  for (const { integrationId } of stored) {
    if (ids.has(integrationId)) throw new DuplicateWebhook(integrationId);
  }
  const configured = declared.map(({ generateSecret, ...rest }): Integration => {
    return { ...rest, managedBy: 'config' };
  });
  return [...configured, ...stored];
}
