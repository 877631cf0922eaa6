/** A real gateway in its own process on its own state root, for stories and fault rounds. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from './within.ts';

export interface GatewayProcessOptions {
  /** The text of its TOML file; none: the demo. */
  readonly config?: string;
  readonly stateRoot: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default 20,000. */
  readonly readyMs?: number;
  /** A program and its arguments under which it runs, e.g. a tracer. */
  readonly under?: readonly string[];
  /** Told the process's id at once, so that it can be killed while it starts. */
  readonly onSpawn?: (pid: number) => void;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface GatewayProcess {
  readonly url: string;
  readonly pid: number;
  /** The admin token that the gateway made, or the one of its environment. */
  readonly token: string;
  /** What it wrote on stderr so far: one JSON object a line. */
  readonly log: readonly string[];
  readonly ended: Promise<Ended>;
  /** The parsed answer of an admin path; throws where it is not 2xx. */
  admin(path: string, init?: RequestInit): Promise<unknown>;
  /** SIGTERM, then its end; fails after 26 s. */
  stop(): Promise<Ended>;
  /** SIGKILL, then its end. */
  kill(): Promise<Ended>;
}

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const KEPT_LINES = 20_000;
const STOP_MS = 26_000;

/** Settles when it says that it is ready; rejects with the end of its log where it does not. */
export async function startGateway(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const { child, log, ended } = launch(options);
  const line = await within(
    'the ready line',
    Promise.race([
      firstLine(child),
      ended.then(({ code, signal }) => {
        throw new Error(`the gateway ended (${code ?? signal}):\n${log.slice(-20).join('\n')}`);
      }),
    ]),
    options.readyMs ?? 20_000,
  ).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  const { http, pid } = JSON.parse(line.replace(/^ready /, '')) as { http: string; pid: number };
  const token =
    options.env?.PALYRA_ADMIN_TOKEN ??
    readFileSync(join(options.stateRoot, 'admin.token'), 'utf8').trim();
  return {
    url: http,
    pid,
    token,
    log,
    ended,
    async admin(path, init = {}) {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const response = await fetch(`${http}${path}`, {
        ...init,
        headers,
        signal: AbortSignal.timeout(15_000),
      });
      const body = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${body}`);
      return JSON.parse(body) as unknown;
    },
    stop() {
      child.kill('SIGTERM');
      return within('the end after SIGTERM', ended, STOP_MS);
    },
    kill() {
      child.kill('SIGKILL');
      return within('the end after SIGKILL', ended, 5_000);
    },
  };
}

/** Runs `serve` where it is expected to end by itself. */
export async function runGatewayToEnd(
  options: GatewayProcessOptions,
): Promise<Ended & { readonly log: string }> {
  const { child, log, ended } = launch(options);
  try {
    return { ...(await within('its own end', ended, 20_000)), log: log.join('\n') };
  } finally {
    child.kill('SIGKILL');
  }
}

function launch({ config, stateRoot, env = {}, under = [], onSpawn }: GatewayProcessOptions): {
  readonly child: ChildProcess;
  readonly log: string[];
  readonly ended: Promise<Ended>;
} {
  const args = [MAIN, 'serve', '--state-root', stateRoot, '--http', '127.0.0.1:0'];
  if (config !== undefined) {
    const file = join(stateRoot, 'gateway.toml');
    writeFileSync(file, config);
    args.push('--config', file);
  }
  const [program = process.execPath, ...before] = [...under, process.execPath];
  const child = spawn(program, [...before, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
  });
  if (child.pid !== undefined) onSpawn?.(child.pid);
  const log = collectLines(child);
  const ended = new Promise<Ended>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const killChild = () => child.kill('SIGKILL');
  process.once('exit', killChild);
  void ended.then(() => process.off('exit', killChild));
  return { child, log, ended };
}

function collectLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  let rest = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    if (lines.length > KEPT_LINES) lines.splice(0, lines.length - KEPT_LINES);
  });
  return lines;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
}

/** A state root of its own, removed after `work`. */
export async function withStateRoot<T>(work: (stateRoot: string) => Promise<T>): Promise<T> {
  const stateRoot = mkdtempSync(join(tmpdir(), 'palyra-test-'));
  try {
    return await work(stateRoot);
  } finally {
    rmSync(stateRoot, { recursive: true, force: true });
  }
}
