/** The operations on webhooks. They park the parent's mailbox: no event passes through it, and two changes never overtake. */
import type { InputOf, OutputOf } from '../../proto/control/catalogue.ts';
import type { Metric, OperationReply, OwnedCall } from '../../proto/control/owner.ts';
import type { ErrorCode } from '../../proto/errors.ts';
import { codeOf } from '../../runtime/errors.ts';
import { toError } from './decide.ts';
import {
  announce,
  canReply,
  enlist,
  type Member,
  type WebhooksSelf,
  type WebhooksState,
} from './roster.ts';
import { type Integration, webhookAdded } from './rows.ts';
import { makeSecret, secretIssue } from './secrets.ts';

interface Status {
  readonly secretPresent: boolean;
  readonly accepted: number;
  readonly duplicates: number;
  /** By code. */
  readonly refused: Readonly<Record<string, number>>;
}
type View = OutputOf<'webhooks.list'>['webhooks'][number];

// A child that is being restarted is shown without its counters rather than waited for.
const STATUS_DEADLINE_MS = 500;
const DEADLINE_MS = 10_000;
const MAX_INTEGRATIONS = 1_024;
const RECONCILE_AFTER_MS = 1_000;

export async function list(state: WebhooksState, self: WebhooksSelf): Promise<OperationReply> {
  const found = await statuses(state, self);
  const webhooks = found.map(({ member, status }) => toView(state, member.integration, status));
  return { ok: true, output: { webhooks } satisfies OutputOf<'webhooks.list'> };
}

export async function sign(
  state: WebhooksState,
  self: WebhooksSelf,
  call: OwnedCall,
): Promise<OperationReply> {
  const { integration_id, body } = call.input as InputOf<'webhooks.sign'>;
  const member = state.members.get(integration_id);
  if (member === undefined) return refused('not_found', `no webhook ${integration_id}`);
  try {
    const signed = await self.ask(member.ref, 'sign', { body }, { inMs: DEADLINE_MS });
    if (!signed.ok) return { ok: false, error: signed.error };
    const output: OutputOf<'webhooks.sign'> = {
      webhook_id: signed.webhookId,
      webhook_timestamp: signed.webhookTimestamp,
      webhook_signature: signed.webhookSignature,
    };
    return { ok: true, output };
  } catch (error) {
    return refused('unavailable', `webhook ${integration_id} does not answer: ${codeOf(error)}`);
  }
}

/** Secret and row are durable before the answer. A secret that was made is in this answer and nowhere else. */
export async function add(
  state: WebhooksState,
  self: WebhooksSelf,
  call: OwnedCall,
): Promise<OperationReply> {
  const input = call.input as InputOf<'webhooks.add'>;
  const id = input.integration_id;
  const existing = state.members.get(id)?.integration;
  if (existing?.managedBy === 'config') {
    return refused('read_only', `webhook ${id} is declared in the configuration file`);
  }
  if (existing !== undefined) return refused('already_exists', `webhook ${id} exists already`);
  const replyTo = input.reply_to?.connector;
  if (replyTo !== undefined && !state.args.connectors.includes(replyTo)) {
    return invalid('reply_to.connector', `no connector ${replyTo} is configured and enabled`);
  }
  if (state.members.size >= MAX_INTEGRATIONS) {
    return refused('busy', `there are ${MAX_INTEGRATIONS} webhooks already`);
  }
  try {
    const secrets = await prepareSecrets(state, self, input);
    if (!secrets.ok) return secrets.reply;
    const integration = toStored(input, secrets.refs);
    const failure = await store(state, self, integration);
    if (failure !== undefined) return failure;
    const member = enlist(state, self, integration);
    announce(state, self);
    const webhook = toView(state, integration, await statusOf(self, member));
    return {
      ok: true,
      output: { webhook, secret: secrets.shown } satisfies OutputOf<'webhooks.add'>,
    };
  } catch (error) {
    // Whether the row was written is not known: what the store has will be taken in.
    self.after('reconcile', RECONCILE_AFTER_MS, 'reconcile', null);
    const message = `webhook ${id} may not have been stored: ${codeOf(error)}`;
    return { ok: false, error: toError('unavailable', message), mayHaveHappened: true };
  }
}

type Prepared =
  | { readonly ok: true; readonly refs: readonly string[]; readonly shown: string }
  | { readonly ok: false; readonly reply: OperationReply };

async function prepareSecrets(
  state: WebhooksState,
  self: WebhooksSelf,
  input: InputOf<'webhooks.add'>,
): Promise<Prepared> {
  const { vault } = state.args;
  if (input.secret_refs.length === 0) {
    const ref = `vault:webhook/${input.integration_id}`;
    // No row means that nobody uses what an earlier try may have left there.
    const made = await makeSecret(self, vault, ref, true);
    if (made.reason === '') return { ok: true, refs: [ref], shown: made.secret };
    return { ok: false, reply: refused(toCode(made.reason), `the vault refused: ${made.reason}`) };
  }
  for (const [place, ref] of input.secret_refs.entries()) {
    const reply = await self.ask(vault, 'reveal', { ref }, { inMs: DEADLINE_MS });
    // What is no reference may be a secret: it is neither stored nor shown.
    if (!reply.ok && reply.code === 'invalid_ref') {
      return { ok: false, reply: invalid(`secret_refs.${place}`, reply.message) };
    }
    // A disabled webhook's secret may come later.
    if (!input.enabled) continue;
    const reason = reply.ok ? secretIssue(ref, reply.secret) : reply.message;
    if (reason !== '') return { ok: false, reply: refused('secret_unavailable', reason) };
  }
  return { ok: true, refs: input.secret_refs, shown: '' };
}

function toStored(input: InputOf<'webhooks.add'>, secretRefs: readonly string[]): Integration {
  const target = input.reply_to;
  const replyTo =
    target === undefined
      ? undefined
      : { connectorId: target.connector, conversationId: target.conversation, threadId: '' };
  return {
    integrationId: input.integration_id,
    provider: input.provider,
    managedBy: 'store',
    enabled: input.enabled,
    maxPayloadBytes: input.max_payload_bytes,
    secretRefs,
    ...(replyTo === undefined ? {} : { replyTo }),
  };
}

/** Undefined once the row is durable. */
async function store(
  state: WebhooksState,
  self: WebhooksSelf,
  integration: Integration,
): Promise<OperationReply | undefined> {
  const changes = webhookAdded(integration, self.clock.wallMs());
  const deadline = { inMs: DEADLINE_MS };
  const reply = await self.ask(state.args.ledger, 'commit', { changes, admits: true }, deadline);
  if (reply.ok) return undefined;
  if (reply.code === 'conflict') {
    return refused('already_exists', `webhook ${integration.integrationId} exists already`);
  }
  const message = 'the webhook was not stored';
  return { ok: false, error: toError(reply.code, message, reply.retryAfterMs) };
}

export async function metrics(
  state: WebhooksState,
  self: WebhooksSelf,
): Promise<readonly Metric[]> {
  const found = await statuses(state, self);
  const perWebhook = (pick: (status: Status) => number): Metric['samples'] =>
    found.map(({ member, status }) => ({
      labels: { integration: member.integration.integrationId },
      value: pick(status),
    }));
  return [
    {
      name: 'palyra_webhook_accepted_total',
      help: 'Webhook events made durable',
      type: 'counter',
      samples: perWebhook((status) => status.accepted),
    },
    {
      name: 'palyra_webhook_duplicates_total',
      help: 'Webhook events that had come before',
      type: 'counter',
      samples: perWebhook((status) => status.duplicates),
    },
    {
      name: 'palyra_webhook_refused_total',
      help: 'Webhook events refused, by reason',
      type: 'counter',
      samples: found.flatMap(({ member, status }) =>
        Object.entries(status.refused).map(([reason, value]) => ({
          labels: { integration: member.integration.integrationId, reason },
          value,
        })),
      ),
    },
    {
      name: 'palyra_webhook_secret_present',
      help: '1 while a signing secret is available',
      type: 'gauge',
      samples: perWebhook((status) => (status.secretPresent ? 1 : 0)),
    },
  ];
}

async function statuses(
  state: WebhooksState,
  self: WebhooksSelf,
): Promise<readonly { readonly member: Member; readonly status: Status }[]> {
  const members = [...state.members.values()];
  return Promise.all(
    members.map(async (member) => ({ member, status: await statusOf(self, member) })),
  );
}

async function statusOf(self: WebhooksSelf, { ref, tally }: Member): Promise<Status> {
  const { accepted = 0, duplicate: duplicates = 0, ...refused } = tally;
  let secretPresent = false;
  try {
    ({ secretPresent } = await self.ask(ref, 'status', null, { inMs: STATUS_DEADLINE_MS }));
  } catch {
    // It is starting again.
  }
  return { secretPresent, accepted, duplicates, refused };
}

function toView(state: WebhooksState, integration: Integration, status: Status): View {
  const { replyTo } = integration;
  return {
    integration_id: integration.integrationId,
    provider: integration.provider,
    managed_by: integration.managedBy,
    enabled: integration.enabled,
    status: stateOf(state, integration, status),
    max_payload_bytes: integration.maxPayloadBytes,
    secret_refs: [...integration.secretRefs],
    ...(replyTo === undefined
      ? {}
      : { reply_to: { connector: replyTo.connectorId, conversation: replyTo.conversationId } }),
    accepted: status.accepted,
    duplicates: status.duplicates,
    refused: { ...status.refused },
  };
}

function stateOf(state: WebhooksState, integration: Integration, status: Status): View['status'] {
  if (!integration.enabled) return 'disabled';
  if (!status.secretPresent) return 'secret_unavailable';
  return canReply(state, integration) ? 'ready' : 'reply_unavailable';
}

/** Why the vault did not seal: any reason but the ledger's is its unavailability. */
function toCode(reason: string): ErrorCode {
  return reason === 'busy' || reason === 'storage_low' ? reason : 'unavailable';
}

function invalid(field: string, message: string): OperationReply {
  const issues = [{ field, message }];
  return {
    ok: false,
    error: { code: 'validation_error', message: `${field}: ${message}`, issues },
  };
}

function refused(code: ErrorCode, message: string): OperationReply {
  return { ok: false, error: toError(code, message) };
}
