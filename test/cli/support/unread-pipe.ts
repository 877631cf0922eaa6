/** A pipe that is full and that nobody reads, as the standard error of a process under test. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { codeOf } from '../../../runtime/errors.ts';

export interface UnreadPipe {
  /** The writing end, which blocks whoever waits for it. */
  readonly fd: number;
  close(): void;
}

export function openUnreadPipe(file: string): UnreadPipe {
  execFileSync('sh', ['-c', 'mkfifo "$0"', file]);
  // Both ends in one: it opens without a partner, and keeps the pipe from being broken.
  const both = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
  while (isTaken(both, Buffer.alloc(4_096, 'x')));
  while (isTaken(both, Buffer.from('x')));
  const fd = openSync(file, constants.O_WRONLY);
  return {
    fd,
    close() {
      closeSync(fd);
      closeSync(both);
    },
  };
}

function isTaken(fd: number, bytes: Buffer): boolean {
  try {
    return writeSync(fd, bytes) > 0;
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return false;
    throw error;
  }
}
