/** One setting of a command: its flag, else its environment variable. It reads no file and knows no default. */
import { CliError, EXIT } from './exit-codes.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Chosen {
  /** The flag or the variable that gave it, to be named where it is wrong. */
  readonly name: string;
  readonly text: string;
}

/** The first that is given, each a name with its value. An empty one, as an unset shell variable makes it, is exit 2. */
export function chosen(
  ...sources: readonly (readonly [name: string, text: string | undefined])[]
): Chosen | undefined {
  for (const [name, text] of sources) {
    if (text === undefined) continue;
    if (text !== '') return { name, text };
    throw new CliError('bad_option', EXIT.usage, `${name} is empty`, {
      next: 'give it a value, or leave it out; a shell variable that is not set makes it empty',
    });
  }
  return undefined;
}
