/** What every command is given, and the options that most of them share. */
import { type Command, InvalidArgumentError } from 'commander';
import type { AdminClient } from './admin-client.ts';
import { type ConnectionFlags, connect } from './connection.ts';
import type { Terminal } from './terminal.ts';

export interface CommandWorld {
  readonly terminal: Terminal;
  /** How this program was called, for commands that are shown to be typed, e.g. `palyra`. */
  readonly self: string;
  /** The exit code where it is not 0 and no error says so. */
  finish(code: number): void;
}

export interface ClientFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** Adds `--url`, `--token-ref`, `--state-root` and `--json`. */
export function withClientFlags(command: Command): Command {
  return withJson(
    command
      .option('--url <url>', 'admin API of a running gateway')
      .option('--token-ref <ref>', 'where the admin token is: env:NAME or file:PATH')
      .option('--state-root <dir>', 'state root of a running gateway'),
  );
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print the result as one line of JSON');
}

export function clientOf(world: CommandWorld, flags: ClientFlags): AdminClient {
  return connect(flags, world.terminal.env);
}

/** A parser for an id, for an argument. */
export function idThat(
  isId: (text: string) => boolean,
  expected: string,
): (text: string) => string {
  return (text) => {
    if (isId(text)) return text;
    throw new InvalidArgumentError(`expected ${expected}`);
  };
}

/** A parser for a whole number in a range, for an option's value. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
  };
}
