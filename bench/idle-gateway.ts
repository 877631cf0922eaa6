/**
 * How much memory does a gateway take that has nothing to do? Five Telegram and five echo accounts, a minute after the start.
 * The peer is the budget: 250 MB of resident memory, so a ratio above 1 is within it.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULT_TOKEN } from '../connectors/fakes/telegram/index.ts';
import type { BenchCase } from './bench-case.ts';
import { startBenchGateway } from './load/gateway.ts';
import { startProcess } from './load/process.ts';

const BUDGET_MB = 250;
const IDLE_MS = 60_000;
const ACCOUNTS = 5;

export const idleGateway: BenchCase = {
  name: 'idle-gateway/rss',
  unit: 'MB',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  rounds: 1,
  async open(scale) {
    const tokens = Array.from({ length: ACCOUNTS }, (_, i) =>
      DEFAULT_TOKEN.replace(/^\d+/, String(1_000 + i)),
    );
    const fake = await startProcess(
      process.execPath,
      [
        fileURLToPath(new URL('../connectors/fakes/telegram/main.js', import.meta.url)),
        ...tokens.flatMap((token) => ['--token', token]),
      ],
      { ready: /"url"/ },
    );
    const { url } = JSON.parse(fake.line) as { url: string };
    const env = Object.fromEntries(tokens.map((token, i) => [`TOKEN_${i}`, token]));
    const gateway = await startBenchGateway(configuration(url), env);
    return {
      async ours() {
        await new Promise((resolve) => setTimeout(resolve, IDLE_MS * scale));
        const { connectors } = await gateway.status();
        const ready = connectors.filter(({ readiness }) => readiness === 'ready').length;
        if (ready !== ACCOUNTS * 2)
          throw new Error(`${ready} of ${ACCOUNTS * 2} accounts are ready`);
        const kilobytes = /VmRSS:\s+(\d+) kB/.exec(
          readFileSync(`/proc/${gateway.pid}/status`, 'utf8'),
        )?.[1];
        return Number(kilobytes) / 1_024;
      },
      peer: async () => BUDGET_MB,
      async close() {
        await gateway.close();
        await fake.close();
      },
    };
  },
};

function configuration(apiRoot: string): string {
  const accounts = Array.from(
    { length: ACCOUNTS },
    (_, i) =>
      `[[connectors]]\nid = "telegram:t${i}"\nkind = "telegram"\ntoken_ref = "env:TOKEN_${i}"\napi_root = "${apiRoot}"\n[[connectors]]\nid = "echo:e${i}"\nkind = "echo"\n`,
  );
  return accounts.join('');
}
