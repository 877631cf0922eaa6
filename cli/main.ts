#!/usr/bin/env node
/** The `palyra` executable: the only file that reads this process's arguments and ends it. */
import { basename, relative } from 'node:path';
import { packageVersion } from './compose-version.ts';
import { runCli } from './program.ts';
import type { Terminal } from './terminal.ts';

const terminal: Terminal = {
  env: process.env,
  isInteractive: process.stderr.isTTY === true,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** `palyra … | head` closes the pipe early: that is no error. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
process.stdout.on('error', endQuietly);
process.stderr.on('error', endQuietly);

const script = process.argv[1] ?? '';
const self =
  basename(script) === 'palyra' ? 'palyra' : `node ${relative(process.cwd(), script) || script}`;

const exitCode = await runCli({
  args: process.argv.slice(2),
  terminal,
  version: packageVersion(),
  self,
});
await Promise.all([written(process.stdout), written(process.stderr)]);
// Idle connections and stopped threads must not keep a finished command alive.
process.exit(exitCode);

/** Settles when everything written before has left the process, or never will. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}
