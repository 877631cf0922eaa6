/** `palyra channels …`: every connector account, its queue, a test message and its journal. */
import type { Command } from 'commander';
import type { OutputOf } from '../../proto/control/catalogue.ts';
import {
  type ClientFlags,
  type CommandWorld,
  clientOf,
  wholeNumber,
  withClientFlags,
} from '../command-world.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { searchJournal } from '../journal-search.ts';
import { printable, show, table, timeText } from '../terminal.ts';

type ConnectorView = OutputOf<'channels.list'>['connectors'][number];
type DeliveryView = OutputOf<'channels.get'>['deliveries'][number];
type JournalEntryView = OutputOf<'journal.read'>['entries'][number];

interface TestFlags extends ClientFlags {
  readonly text: string;
  readonly conversation?: string;
  readonly sender?: string;
  readonly group?: boolean;
}

interface LogsFlags extends ClientFlags {
  readonly limit: number;
  readonly after?: number;
  readonly before?: number;
}

/** The sequence of a journal entry. */
const cursor = wholeNumber(1, Number.MAX_SAFE_INTEGER);

export function addChannels(program: Command, world: CommandWorld): void {
  const channels = program.command('channels').description('connector accounts');
  withClientFlags(
    channels.command('list').description('every connector with its health and queue'),
  ).action(async (flags: ClientFlags) => {
    const result = await clientOf(world, flags).call('channels.list', {});
    show(world.terminal, flags, result, ({ connectors }) => connectorTable(connectors));
  });
  addChannelStatus(channels, world);
  addChannelTest(channels, world);
  addChannelLogs(channels, world);
  for (const verb of ['replay', 'discard'] as const) addIntervention(channels, world, verb);
}

function addChannelStatus(channels: Command, world: CommandWorld): void {
  withClientFlags(
    channels
      .command('status')
      .description('one connector with recent deliveries and dead letters')
      .argument('<id>', 'connector, e.g. telegram:main')
      .option('--limit <n>', 'deliveries to show', wholeNumber(1, 500), 20),
  ).action(async (id: string, flags: ClientFlags & { readonly limit: number }) => {
    const input = { connector_id: id, limit: flags.limit };
    const result = await clientOf(world, flags).call('channels.get', input);
    show(world.terminal, flags, result, statusText);
  });
}

function addChannelTest(channels: Command, world: CommandWorld): void {
  withClientFlags(
    channels
      .command('test')
      .description('admit a message on a connector as if its platform had sent it')
      .argument('<id>', 'connector, e.g. echo:default')
      .requiredOption('--text <text>', 'the message')
      .option('--conversation <id>', 'conversation it comes from')
      .option('--sender <id>', 'who it comes from')
      .option('--group', 'as a group message instead of a direct one'),
  ).action(async (id: string, flags: TestFlags) => {
    const result = await clientOf(world, flags).call('channels.test', {
      connector_id: id,
      text: flags.text,
      is_direct_message: flags.group !== true,
      ...(flags.conversation === undefined ? {} : { conversation_id: flags.conversation }),
      ...(flags.sender === undefined ? {} : { sender_id: flags.sender }),
    });
    show(world.terminal, flags, result, ({ accepted, envelope_id, reason }) =>
      accepted ? `accepted ${envelope_id}` : `rejected ${envelope_id}: ${reason}`,
    );
    if (!result.accepted) throw rejected(id, result.reason);
  });
}

const INTERVENTIONS = {
  replay: 'send a held delivery or a dead letter again, from its first piece that is not confirmed',
  discard:
    'give up a delivery that is held, or waits for an account that is not configured: it becomes a dead letter',
};

function addIntervention(
  channels: Command,
  world: CommandWorld,
  verb: keyof typeof INTERVENTIONS,
): void {
  withClientFlags(
    channels
      .command(verb)
      .description(INTERVENTIONS[verb])
      .argument('<id>', 'connector, e.g. telegram:main')
      .argument('<delivery>', 'delivery, as channels status shows it'),
  ).action(async (id: string, delivery: string, flags: ClientFlags) => {
    const input = { connector_id: id, delivery_id: delivery };
    const result = await clientOf(world, flags).call(`channels.${verb}`, input);
    show(world.terminal, flags, result, ({ delivery_id, status, changed }) =>
      changed ? `${delivery_id} ${status}` : `${delivery_id} ${status}, done before`,
    );
  });
}

function addChannelLogs(channels: Command, world: CommandWorld): void {
  withClientFlags(
    channels
      .command('logs')
      .description('journal entries, oldest first; of one connector or of all')
      .argument('[id]', 'connector, e.g. telegram:main')
      .option('--limit <n>', 'entries to show', wholeNumber(1, 500), 50)
      .option('--after <cursor>', 'go on after this entry', cursor)
      .option('--before <cursor>', 'go back from this entry', cursor),
  ).action(async (id: string | undefined, flags: LogsFlags) => {
    const { limit, after = 0, before = 0 } = flags;
    const tail = flags.after === undefined;
    const client = clientOf(world, flags);
    if (id !== undefined) await client.call('channels.get', { connector_id: id, limit: 1 });
    const wanted = { subject: id ?? '', limit, tail, after, before };
    const { found, isOver } = await searchJournal(client, wanted);
    show(world.terminal, flags, found, ({ entries }) => journalText(entries));
    if (flags.json === true || isOver) return;
    const more =
      tail || before > 0
        ? `go on with: --before ${found.previous}`
        : `go on with: --after ${found.next}`;
    world.terminal.err(`${more}\n`);
  });
}

export function connectorTable(connectors: readonly ConnectorView[]): string {
  return table(
    ['CONNECTOR', 'READINESS', 'LIVENESS', 'PENDING', 'DEAD', 'RESTARTS', 'REASON'],
    connectors.map(({ connector_id, readiness, liveness, queue, restarts, reason }) => [
      connector_id,
      readiness,
      liveness,
      `${queue.pending + queue.sending + queue.waiting}${queue.parked ? ' parked' : ''}`,
      String(queue.dead_letters),
      String(restarts),
      reason || queue.park_reason,
    ]),
    'no connector is declared',
  );
}

export function deliveryTable(deliveries: readonly DeliveryView[], none: string): string {
  return table(
    ['DELIVERY', 'CONVERSATION', 'STATUS', 'ATTEMPTS', 'CHUNK', 'UPDATED', 'REASON'],
    deliveries.map((delivery) => [
      delivery.delivery_id,
      delivery.conversation_id,
      delivery.status,
      String(delivery.attempts),
      `${delivery.chunk}/${delivery.chunks}`,
      timeText(delivery.updated_at_ms),
      delivery.reason,
    ]),
    none,
  );
}

function statusText({ connector, deliveries, dead_letters }: OutputOf<'channels.get'>): string {
  const { queue } = connector;
  const counts = Object.entries(queue).filter(
    ([, value]) => typeof value === 'number' && value > 0,
  );
  const times = `last in ${timeText(connector.last_inbound_at_ms)}, last out ${timeText(connector.last_outbound_at_ms)}`;
  const line = counts
    .filter(([name]) => !name.endsWith('_at_ms'))
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return [
    connectorTable([connector]),
    `queue: ${line || 'empty'}; ${times}`,
    deliveryTable(deliveries, 'no recent delivery'),
    `dead letters\n${deliveryTable(dead_letters, 'none')}`,
  ].join('\n\n');
}

function journalText(entries: readonly JournalEntryView[]): string {
  const lines = entries.flatMap(({ sequence, at_ms, facts }) =>
    facts.map(({ type, ...fields }) => {
      const words = Object.entries(fields).map(
        ([name, value]) => `${name}=${printable(String(value))}`,
      );
      return `${sequence} ${timeText(at_ms)} ${type} ${words.join(' ')}`;
    }),
  );
  return lines.length === 0 ? 'no entry' : lines.join('\n');
}

function rejected(id: string, reason: string): CliError {
  return new CliError('message_rejected', EXIT.refused, `${id} rejected the message: ${reason}`, {
    next: `check the rule of channel ${id} in [[channel_router.routing.channels]]`,
  });
}
