/** The command line as one table of commands, and the one place where an error becomes words and an exit code. */
import { Command, CommanderError } from 'commander';
import type { CommandWorld } from './command-world.ts';
import { addBackup } from './commands/backup.ts';
import { addChannels } from './commands/channels.ts';
import { addConfig } from './commands/config.ts';
import { addJournal } from './commands/journal.ts';
import { addRuns } from './commands/runs.ts';
import { addServe } from './commands/serve.ts';
import { addStatus } from './commands/status.ts';
import { addVault } from './commands/vault.ts';
import { addWebhooks } from './commands/webhooks.ts';
import { CliError, EXIT, toCliError } from './exit-codes.ts';
import { errorText, type Terminal } from './terminal.ts';

export interface Invocation {
  /** The words after `palyra`. */
  readonly args: readonly string[];
  readonly terminal: Terminal;
  readonly version: string;
  /** How this program was called, e.g. `palyra`. */
  readonly self: string;
}

/** Runs one command to its end and gives its exit code. It never rejects. */
export async function runCli({ args, terminal, version, self }: Invocation): Promise<number> {
  let exitCode: number = EXIT.ok;
  const finish = (code: number): void => {
    exitCode = code;
  };
  const world: CommandWorld = { terminal, self, finish };
  try {
    await buildProgram(world, version).parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    const failure = error instanceof CommanderError ? usageError(error) : toCliError(error);
    terminal.err(errorText(failure, args.includes('--json')));
    return failure.exitCode;
  }
}

export function buildProgram(world: CommandWorld, version: string): Command {
  const program = new Command('palyra')
    .description('A messaging gateway for AI agents')
    .version(version, '--version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => world.terminal.out(text),
      // Help after a usage error; the error itself is written once, by `runCli`.
      writeErr: (text) => world.terminal.err(text),
      outputError: () => undefined,
    });
  addServe(program, world);
  addStatus(program, world);
  addChannels(program, world);
  addWebhooks(program, world);
  addVault(program, world);
  addRuns(program, world);
  addConfig(program, world);
  addJournal(program, world);
  addBackup(program, world);
  return program;
}

/** Commander's complaint with its own suggestion of the nearest flag or command as the next step. */
function usageError(error: CommanderError): CliError {
  if (error.code === 'commander.help') {
    return new CliError('usage', EXIT.usage, 'a command is missing', { next: 'palyra --help' });
  }
  const [what = '', suggestion = ''] = error.message.split('\n', 2);
  const next = suggestion.replace(/^\(|\)$/g, '');
  return new CliError('usage', EXIT.usage, what.replace(/^error: /, ''), {
    next: next === '' ? 'palyra --help lists commands and flags' : next,
    cause: error,
  });
}
