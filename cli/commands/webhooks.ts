/** `palyra webhooks list|add|test`: webhook integrations. */
import { type Command, InvalidArgumentError } from 'commander';
import type { OutputOf } from '../../proto/control/catalogue.ts';
import { parseIntegrationId } from '../../proto/ids.ts';
import {
  type ClientFlags,
  type CommandWorld,
  clientOf,
  idThat,
  wholeNumber,
  withClientFlags,
} from '../command-world.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { show, table } from '../terminal.ts';
import { probeText, probeWebhook } from '../webhook-probe.ts';

type WebhookView = OutputOf<'webhooks.list'>['webhooks'][number];

interface AddFlags extends ClientFlags {
  readonly provider?: string;
  readonly secretRef?: readonly string[];
  readonly maxPayloadBytes?: number;
  readonly replyTo?: string;
  readonly conversation?: string;
  readonly disabled?: boolean;
}

interface TestFlags extends ClientFlags {
  readonly text: string;
  readonly timeout: number;
}

export function addWebhooks(program: Command, world: CommandWorld): void {
  const webhooks = program.command('webhooks').description('webhook integrations');
  withClientFlags(
    webhooks.command('list').description('every integration and where it replies to'),
  ).action(async (flags: ClientFlags) => {
    const result = await clientOf(world, flags).call('webhooks.list', {});
    show(world.terminal, flags, result, ({ webhooks: rows }) => webhookTable(rows));
  });
  addWebhookAdd(webhooks, world);
  addWebhookTest(webhooks, world);
}

const INTEGRATION_ID = 'up to 64 lower-case letters, digits, . _ -';

function isIntegrationId(text: string): boolean {
  return parseIntegrationId(text) !== undefined;
}

function addWebhookAdd(webhooks: Command, world: CommandWorld): void {
  withClientFlags(
    webhooks
      .command('add')
      .description('create an integration; without --secret-ref its secret is made and shown once')
      .argument('<id>', INTEGRATION_ID, idThat(isIntegrationId, INTEGRATION_ID))
      .option('--provider <name>', 'a label, e.g. generic')
      .option(
        '--secret-ref <ref>',
        'env:NAME, file:PATH or vault:scope/key; twice while rotating',
        collect,
      )
      .option('--max-payload-bytes <n>', 'largest body', wholeNumber(1, 1_048_576))
      .option('--reply-to <connector>', 'connector that the reply leaves through')
      .option('--conversation <id>', 'conversation that the reply goes to')
      .option('--disabled', 'refuse what comes until it is enabled'),
  ).action(async (id: string, flags: AddFlags) => {
    const result = await clientOf(world, flags).call('webhooks.add', {
      integration_id: id,
      enabled: flags.disabled !== true,
      ...(flags.provider === undefined ? {} : { provider: flags.provider }),
      ...(flags.secretRef === undefined ? {} : { secret_refs: [...flags.secretRef] }),
      ...(flags.maxPayloadBytes === undefined ? {} : { max_payload_bytes: flags.maxPayloadBytes }),
      ...replyTarget(flags),
    });
    show(world.terminal, flags, result, addedText);
  });
}

function addWebhookTest(webhooks: Command, world: CommandWorld): void {
  withClientFlags(
    webhooks
      .command('test')
      .description('sign and post a message as an outside sender would, and show what came of it')
      .argument('<id>', 'integration id')
      .requiredOption('--text <text>', 'the message')
      .option('--timeout <seconds>', 'stop waiting after', wholeNumber(1, 3_600), 30),
  ).action(async (id: string, flags: TestFlags) => {
    const probe = await probeWebhook(clientOf(world, flags), {
      integrationId: id,
      text: flags.text,
      deadlineMs: flags.timeout * 1_000,
    });
    show(world.terminal, flags, probe, probeText);
    const isLost = probe.deliveries.some(({ status }) => status !== 'delivered');
    if (probe.run.status !== 'done' || isLost) world.finish(EXIT.failure);
  });
}

export function webhookTable(webhooks: readonly WebhookView[]): string {
  return table(
    ['WEBHOOK', 'STATUS', 'MANAGED BY', 'REPLIES TO', 'ACCEPTED', 'DUPLICATES', 'REFUSED'],
    webhooks.map((webhook) => [
      webhook.integration_id,
      webhook.status,
      webhook.managed_by,
      webhook.reply_to === undefined
        ? "the run's tape"
        : `${webhook.reply_to.connector} ${webhook.reply_to.conversation}`,
      String(webhook.accepted),
      String(webhook.duplicates),
      String(Object.values(webhook.refused).reduce((sum, count) => sum + count, 0)),
    ]),
    'no webhook is declared',
  );
}

function addedText({ webhook, secret }: OutputOf<'webhooks.add'>): string {
  const shown = secret === '' ? [] : ['', `secret ${secret}`, 'it is not shown again'];
  return [webhookTable([webhook]), ...shown].join('\n');
}

function replyTarget({ replyTo, conversation }: AddFlags): {
  readonly reply_to?: { connector: string; conversation: string };
} {
  if (replyTo === undefined && conversation === undefined) return {};
  if (replyTo !== undefined && conversation !== undefined) {
    return { reply_to: { connector: replyTo, conversation } };
  }
  throw new CliError('bad_option', EXIT.usage, '--reply-to and --conversation go together', {
    next: 'e.g. --reply-to telegram:main --conversation 42',
  });
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  const all = [...(before ?? []), value];
  if (all.length > 2)
    throw new InvalidArgumentError('expected one reference, or two while rotating');
  return all;
}
