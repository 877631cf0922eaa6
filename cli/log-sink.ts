/** Takes log lines to a stream whose reader may be slow or gone, and never waits for it. What does not fit is dropped and counted. */
import type { Writable } from 'node:stream';

export interface LogSink {
  write(line: string): void;
  /** undefined when every line has left; else settles when they have, at the latest after `deadlineMs`. */
  flushed(deadlineMs: number): Promise<void> | undefined;
}

/** Some thousand lines: what a reader that stops for a moment does not lose. */
const LIMIT_CHARACTERS = 1_048_576;

/** `sayDropped` is to write a line with the number of all that were dropped so far; it is called once there is room again. */
export function createLogSink(stream: Writable, sayDropped: (total: number) => void): LogSink {
  let dropped = 0;
  let said = 0;
  let isFull = false;
  // A file on a full disk, or a reader that is gone.
  const afterWrite = (error: Error | null | undefined): void => {
    if (error) dropped += 1;
  };
  const say = (): void => {
    if (dropped === said) return;
    said = dropped;
    sayDropped(dropped);
  };
  stream.on('drain', () => {
    isFull = false;
    say();
  });
  return {
    write(line) {
      isFull ||= stream.writableLength + line.length > LIMIT_CHARACTERS;
      if (isFull) {
        dropped += 1;
        return;
      }
      say();
      stream.write(line, afterWrite);
    },
    flushed(deadlineMs) {
      if (stream.writableLength === 0) return undefined;
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, deadlineMs);
        stream.write('', () => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}
