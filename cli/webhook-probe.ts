/** Sends one signed message through a webhook from outside and follows it to its reply. It prints nothing. */
import type { OutputOf } from '../proto/control/catalogue.ts';
import { parseEnvelopeId, runIdOf } from '../proto/ids.ts';
import { type AdminClient, type Answer, problemOf } from './admin-client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { printable } from './terminal.ts';
import { waitFor } from './wait.ts';

type RunView = OutputOf<'runs.get'>;
type DeliveryView = OutputOf<'channels.get'>['deliveries'][number];

export interface WebhookProbe {
  readonly integration_id: string;
  readonly webhook_id: string;
  readonly envelope_id: string;
  readonly run: RunView;
  /** The run's answer, '' for none. */
  readonly reply: string;
  /** Empty where the integration replies to the tape only. */
  readonly deliveries: readonly DeliveryView[];
}

export interface ProbeRequest {
  readonly integrationId: string;
  readonly text: string;
  /** For the run and its deliveries together. */
  readonly deadlineMs: number;
}

/**
 * The secret stays in the gateway: it signs, the body goes in by the public route. Waits for the run, and where the
 * integration replies to a connector, for every delivery of the run to be delivered, dead or held.
 */
export async function probeWebhook(
  client: AdminClient,
  request: ProbeRequest,
): Promise<WebhookProbe> {
  const { integrationId, text } = request;
  const untilMs = performance.now() + request.deadlineMs;
  const leftMs = (): number => Math.max(1, Math.round(untilMs - performance.now()));
  const { webhooks } = await client.call('webhooks.list', {});
  const webhook = webhooks.find(({ integration_id }) => integration_id === integrationId);
  const body = JSON.stringify({ text });
  const signed = await client.call('webhooks.sign', { integration_id: integrationId, body });
  const path = `/hooks/v1/${encodeURIComponent(integrationId)}`;
  const answer = await client.post(path, headersOf(signed), body);
  const envelopeId = envelopeOf(answer);
  const run = await endOfRun(client, envelopeId, leftMs());
  const connector = webhook?.reply_to?.connector;
  const deliveries =
    connector === undefined || run.status !== 'done'
      ? []
      : await settledDeliveries(client, connector, run, leftMs());
  return {
    integration_id: integrationId,
    webhook_id: signed.webhook_id,
    envelope_id: envelopeId,
    run,
    reply: run.tape
      .filter(({ type }) => type === 'message.replied')
      .map((entry) => entry.text)
      .join('\n'),
    deliveries,
  };
}

export function probeText({ envelope_id, run, reply, deliveries }: WebhookProbe): string {
  const received = run.tape.filter(({ type }) => type === 'message.received');
  const rows = [
    ['accepted', envelope_id],
    ['run', `${run.run_id} ${run.status}${run.reason === '' ? '' : `: ${run.reason}`}`],
    ...received.map(({ text }) => ['message', printable(text)]),
    ['reply', reply === '' ? '(none)' : printable(reply)],
    ...deliveries.map((delivery) => [
      delivery.status,
      `${delivery.connector_id} ${delivery.conversation_id}, attempt ${delivery.attempts}${
        delivery.reason === '' ? '' : `: ${delivery.reason}`
      }`,
    ]),
  ];
  return rows.map(([name, value]) => `${(name ?? '').padEnd(10)} ${value ?? ''}`).join('\n');
}

function headersOf(signed: OutputOf<'webhooks.sign'>): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json',
    'webhook-id': signed.webhook_id,
    'webhook-timestamp': signed.webhook_timestamp,
    'webhook-signature': signed.webhook_signature,
  };
}

function envelopeOf(answer: Answer): string {
  if (answer.status !== 202) throw problemOf(answer);
  const parsed: unknown = JSON.parse(answer.body);
  if (typeof parsed === 'object' && parsed !== null && 'envelope_id' in parsed) {
    if (typeof parsed.envelope_id === 'string') return parsed.envelope_id;
  }
  throw new CliError('unexpected_answer', EXIT.failure, 'the 202 answer names no envelope_id');
}

async function endOfRun(
  client: AdminClient,
  envelope: string,
  deadlineMs: number,
): Promise<RunView> {
  const envelopeId = parseEnvelopeId(envelope);
  if (envelopeId === undefined) {
    throw new CliError('unexpected_answer', EXIT.failure, 'the envelope_id is not a ULID');
  }
  const runId = runIdOf(envelopeId);
  return waitFor(
    async () => {
      const run = await runOrRejection(client, runId, envelope);
      return run.status === 'pending' ? undefined : run;
    },
    { deadlineMs, what: `run ${runId}`, next: `look again with palyra runs get ${runId}` },
  );
}

/** Run and acceptance are one commit: an accepted envelope without a run was rejected by the router. */
async function runOrRejection(
  client: AdminClient,
  runId: string,
  envelope: string,
): Promise<RunView> {
  try {
    return await client.call('runs.get', { run_id: runId });
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'not_found') throw error;
    const { entries } = await client.call('journal.read', { subject: envelope, tail: true });
    const facts = entries.flatMap((entry) => entry.facts);
    const reason = facts.map((fact) => fact.reason).find((value) => typeof value === 'string');
    const message = `the router rejected the message: ${reason ?? 'for no reason in the journal'}`;
    throw new CliError('message_rejected', EXIT.refused, message, {
      next: 'check [channel_router] in the configuration file',
    });
  }
}

async function settledDeliveries(
  client: AdminClient,
  connector: string,
  run: RunView,
  deadlineMs: number,
): Promise<readonly DeliveryView[]> {
  return waitFor(
    async () => {
      const view = await client.call('channels.get', { connector_id: connector, limit: 500 });
      const own = [...view.deliveries, ...view.dead_letters].filter(({ delivery_id }) =>
        delivery_id.startsWith(`${run.run_id}:`),
      );
      const isOver = own.every(({ status }) => /^(delivered|dead|held)$/.test(status));
      return own.length > 0 && isOver ? uniqueById(own) : undefined;
    },
    {
      deadlineMs,
      what: `the delivery of run ${run.run_id}`,
      next: `look again with palyra channels status ${connector}`,
    },
  );
}

/** A dead letter may stand in both lists. */
function uniqueById(deliveries: readonly DeliveryView[]): readonly DeliveryView[] {
  return [...new Map(deliveries.map((delivery) => [delivery.delivery_id, delivery])).values()];
}
