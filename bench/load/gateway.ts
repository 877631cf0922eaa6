/** The gateway of a bench: the real command in its own process on a state root of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess } from './process.ts';
import { BENCH_SECRET } from './signed-webhook.ts';

export interface BenchGateway {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  status(): Promise<GatewayStatus>;
  close(): Promise<void>;
}

export interface GatewayStatus {
  readonly store: { readonly flushes: number; readonly commits: number };
  readonly connectors: readonly {
    readonly readiness: string;
    readonly queue: {
      readonly pending: number;
      readonly sending: number;
      readonly waiting: number;
    };
  }[];
}

const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const TOKEN = 'a-token-that-only-this-bench-knows';

export async function startBenchGateway(
  config: string,
  env: Readonly<Record<string, string>> = {},
): Promise<BenchGateway> {
  const stateRoot = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  const file = join(stateRoot, 'palyra.toml');
  writeFileSync(file, `[admin]\ntoken_ref = "env:BENCH_TOKEN"\n${config}`);
  const gateway = await startProcess(
    process.execPath,
    [
      MAIN,
      'serve',
      '--config',
      file,
      '--state-root',
      join(stateRoot, 'state'),
      '--http',
      '127.0.0.1:0',
    ],
    {
      ready: /^ready /,
      env: { ...env, BENCH_TOKEN: TOKEN, BENCH_SECRET, PALYRA_LOG_LEVEL: 'error' },
    },
  );
  const { http, pid } = JSON.parse(gateway.line.slice('ready '.length)) as {
    http: string;
    pid: number;
  };
  const { hostname, port } = new URL(http);
  return {
    host: hostname,
    port: Number(port),
    pid,
    async status() {
      const response = await fetch(`${http}/admin/v1/status`, {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      return (await response.json()) as GatewayStatus;
    },
    async close() {
      await gateway.close();
      rmSync(stateRoot, { recursive: true, force: true });
    },
  };
}
