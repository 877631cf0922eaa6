#!/usr/bin/env node
/** The `palyra` executable: the only file that reads this process's arguments and ends it. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Terminal } from './terminal.ts';

/** Before `serve` listens to signals itself there is nothing to drain; it is ended in order all the same. */
function leaveInOrder(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) === 1) process.exit(0);
}
if (process.argv[2] === 'serve') {
  process.on('SIGTERM', leaveInOrder);
  process.on('SIGINT', leaveInOrder);
}
// Loaded only now: a signal may come while it is.
const [{ calledAs }, { packageVersion }, { endProcess }, { runCli }] = await Promise.all([
  import('./called-as.ts'),
  import('./compose-version.ts'),
  import('./process-guard.ts'),
  import('./program.ts'),
]);

const terminal: Terminal = {
  env: process.env,
  isInteractive: process.stderr.isTTY === true,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  async readSecret(prompt) {
    const { readSecret } = await import('./secret-input.ts');
    return readSecret(
      process.stdin,
      () => terminal.err(prompt),
      () => terminal.err('\n'),
    );
  },
};

/** `palyra … | head` closes the pipe early: that is no error. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
process.stdout.on('error', endQuietly);
// Where errors are told, its own can be told to nobody.
process.stderr.on('error', () => undefined);

/** How long the end of `serve` waits for readers. */
const LAST_WORDS_MS = 500;

const exitCode = await runCli({
  args: process.argv.slice(2),
  terminal,
  version: packageVersion(),
  self: calledAs(process.argv[1] ?? '', process.cwd()),
});
// A command's result waits for its reader; the end of `serve` is promised.
const lastWords = Promise.all([written(process.stdout), written(process.stderr)]);
await (process.argv[2] === 'serve' ? Promise.race([lastWords, wait(LAST_WORDS_MS)]) : lastWords);
// Idle connections and stopped threads must not keep a finished command alive.
await endProcess(exitCode);

/** Settles when everything written before has left the process, or never will. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}
