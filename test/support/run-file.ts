/** Runs one test file in a process group of its own, and leaves nothing of that group behind. It judges nothing. */
import { spawn } from 'node:child_process';
import type { FileOutcome } from './uvu-report.ts';

/** The start and the end of a long output say most; what lies between is dropped. */
const KEPT_OUTPUT_BYTES = 512 * 1_024;

/** What was printed before the exit is read by then, on any machine. */
const PIPE_GRACE_MS = 2_000;

export interface RunFileOptions {
  readonly path: string;
  readonly deadlineMs: number;
  readonly env: NodeJS.ProcessEnv;
  /** Told the group's id when it starts (then 0 when it is gone), so that an interrupt can end it. */
  onGroup(pid: number): void;
}

export function runFile({ path, deadlineMs, env, onGroup }: RunFileOptions): Promise<FileOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--enable-source-maps', path], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    const group = child.pid;
    if (group === undefined) {
      child.once('error', reject);
      return;
    }
    onGroup(group);
    const output = keepEnds();
    child.stdout.setEncoding('utf8').on('data', output.add);
    child.stderr.setEncoding('utf8').on('data', output.add);
    let timedOut = false;
    const deadline = setTimeout(() => {
      timedOut = true;
      killGroup(group);
    }, deadlineMs);
    // Whatever the file left running holds its pipes open: it goes with its parent, or is not listened to any more.
    child.once('exit', () => {
      killGroup(group);
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, PIPE_GRACE_MS).unref();
    });
    child.once('close', (code, signal) => {
      clearTimeout(deadline);
      onGroup(0);
      resolve({ exit: code ?? signal ?? 'unknown', timedOut, output: output.text() });
    });
  });
}

export function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function keepEnds(): { add(text: string): void; text(): string } {
  let head = '';
  let tail = '';
  let droppedBytes = 0;
  return {
    add(text) {
      if (head.length + text.length <= KEPT_OUTPUT_BYTES) {
        head += text;
        return;
      }
      tail += text;
      if (tail.length > 2 * KEPT_OUTPUT_BYTES) {
        droppedBytes += tail.length - KEPT_OUTPUT_BYTES;
        tail = tail.slice(-KEPT_OUTPUT_BYTES);
      }
    },
    text: () =>
      droppedBytes === 0 ? head + tail : `${head}\n… ${droppedBytes} characters dropped …\n${tail}`,
  };
}
