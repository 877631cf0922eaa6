/** `palyra status`: the gateway as a whole. */
import type { Command } from 'commander';
import type { OutputOf } from '../../proto/control/catalogue.ts';
import {
  type ClientFlags,
  type CommandWorld,
  clientOf,
  withClientFlags,
} from '../command-world.ts';
import { show, table, timeText } from '../terminal.ts';
import { connectorTable } from './channels.ts';
import { webhookTable } from './webhooks.ts';

export function addStatus(program: Command, world: CommandWorld): void {
  withClientFlags(program.command('status').description('the gateway as a whole')).action(
    async (flags: ClientFlags) => {
      const status = await clientOf(world, flags).call('status.get', {});
      show(world.terminal, flags, status, toText);
    },
  );
}

function toText(status: OutputOf<'status.get'>): string {
  const { store } = status;
  const facts = table(
    ['GATEWAY', status.state.toUpperCase()],
    [
      ['version', status.version],
      ['pid', String(status.pid)],
      ['since', timeText(status.started_at_ms)],
      ['http', status.http],
      ['model', status.model_provider],
      ['store', `${sizeText(store.used_bytes)} used, ${sizeText(store.free_bytes)} free`],
      ['journal', `sequence ${store.journal_sequence}, ${store.flushes} flushes`],
      ['admitting', store.admitting ? 'yes' : 'no: the disk is nearly full'],
    ],
    '',
  );
  const troubled = status.components.filter(({ state }) => state !== 'running');
  const trouble = table(
    ['COMPONENT', 'STATE', 'RESTARTS', 'LAST ERROR'],
    troubled.map((part) => [part.path, part.state, String(part.restarts), part.last_error]),
    'every component runs',
  );
  const sections = [
    facts,
    connectorTable(status.connectors),
    webhookTable(status.webhooks),
    trouble,
  ];
  return sections.join('\n\n');
}

function sizeText(bytes: number): string {
  const mebibytes = bytes / 1_048_576;
  return mebibytes < 1 ? `${Math.ceil(bytes / 1_024)} KiB` : `${mebibytes.toFixed(1)} MiB`;
}
