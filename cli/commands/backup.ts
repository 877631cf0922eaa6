/** `palyra backup`: starts the backup job and watches it end. */
import type { Command } from 'commander';
import {
  type ClientFlags,
  type CommandWorld,
  clientOf,
  wholeNumber,
  withClientFlags,
} from '../command-world.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { printable, show } from '../terminal.ts';
import { waitFor } from '../wait.ts';

interface BackupFlags extends ClientFlags {
  readonly timeout: number;
}

export function addBackup(program: Command, world: CommandWorld): void {
  withClientFlags(
    program
      .command('backup')
      .description('make a consistent copy of the store below the state root')
      .option('--timeout <seconds>', 'stop watching after', wholeNumber(1, 86_400), 600),
  ).action(async (flags: BackupFlags) => {
    const client = clientOf(world, flags);
    const { job_id } = await client.call('backup.create', {});
    let shown = '';
    const job = await waitFor(
      async () => {
        const state = await client.call('jobs.get', { job_id });
        if (state.status !== 'running') return state;
        if (state.detail !== shown) world.terminal.err(`${printable(state.detail)}\n`);
        shown = state.detail;
        return undefined;
      },
      {
        deadlineMs: flags.timeout * 1_000,
        what: `backup ${job_id}`,
        next: 'it goes on; look below the state root',
      },
    );
    if (job.status === 'failed') {
      throw new CliError('job_failed', EXIT.failure, `the backup failed: ${job.detail}`, {
        next: 'palyra status shows the store and the free space of its disk',
      });
    }
    show(world.terminal, flags, job, ({ detail }) => `backup done: ${printable(detail)}`);
  });
}
