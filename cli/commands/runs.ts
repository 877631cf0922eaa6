/** `palyra runs get`: one run with its tape. */
import type { Command } from 'commander';
import type { OutputOf } from '../../proto/control/catalogue.ts';
import { isUlid } from '../../proto/ids.ts';
import {
  type ClientFlags,
  type CommandWorld,
  clientOf,
  idThat,
  withClientFlags,
} from '../command-world.ts';
import { printable, show, table, timeText } from '../terminal.ts';

export type RunView = OutputOf<'runs.get'>;

export function addRuns(program: Command, world: CommandWorld): void {
  const runs = program.command('runs').description('runs and their tapes');
  withClientFlags(
    runs
      .command('get')
      .description('one run with its tape')
      .argument('<id>', 'run id, 26 characters', idThat(isRunId, '26 letters and digits')),
  ).action(async (id: string, flags: ClientFlags) => {
    const run = await clientOf(world, flags).call('runs.get', { run_id: id.toUpperCase() });
    show(world.terminal, flags, run, runText);
  });
}

function isRunId(text: string): boolean {
  return isUlid(text.toUpperCase());
}

export function runText(run: RunView): string {
  const head = `run ${run.run_id} ${run.status}${run.reason === '' ? '' : `: ${run.reason}`}`;
  return [
    head,
    `session ${run.session_key}, envelope ${run.envelope_id}, since ${timeText(run.created_at_ms)}`,
    '',
    tapeText(run),
  ].join('\n');
}

export function tapeText(run: RunView): string {
  return table(
    ['SEQ', 'TYPE', 'TEXT'],
    run.tape.map(({ seq, type, text }) => [String(seq), type, printable(text)]),
    'the tape is empty',
  );
}
