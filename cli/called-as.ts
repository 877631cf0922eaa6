/** How a user calls this program, so that a command that is shown can be typed. It reads nothing of the process. */
import { basename, dirname, relative, sep } from 'node:path';
import { shellWord } from './terminal.ts';

/** `palyra` where it is installed, `npx palyra` where npm runs it from a package, else the script itself. */
export function calledAs(script: string, directory: string): string {
  if (basename(script) !== 'palyra') {
    return `node ${shellWord(relative(directory, script) || script)}`;
  }
  return dirname(script).endsWith(`node_modules${sep}.bin`) ? 'npx palyra' : 'palyra';
}
