/** Runs a program of a suite in a process of its own, with a deadline, and keeps the end of what it says. */
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const KEPT_CHARACTERS = 8_000;

export interface Cell {
  /** A module beside the one that calls; its name has no ending. */
  readonly program: URL;
  readonly args: readonly string[];
  readonly nodeFlags?: readonly string[];
  readonly deadlineMs: number;
}

export interface CellOutcome {
  /** Its exit code, or the signal that ended it. */
  readonly exit: number | string;
  /** What it wrote to stderr, the last of it. */
  readonly errors: string;
}

export function runCell({ program, args, nodeFlags = [], deadlineMs }: Cell): Promise<CellOutcome> {
  return new Promise((resolve, reject) => {
    const path = `${fileURLToPath(program)}${extname(import.meta.url)}`;
    const cell = spawn(process.execPath, ['--enable-source-maps', ...nodeFlags, path, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const deadline = setTimeout(() => cell.kill('SIGKILL'), deadlineMs);
    let errors = '';
    cell.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = `${errors}${text}`.slice(-KEPT_CHARACTERS);
    });
    cell.once('error', reject);
    cell.once('close', (code, signal) => {
      clearTimeout(deadline);
      resolve({ exit: code ?? signal ?? 'unknown', errors });
    });
  });
}
