/** The system calls of a running gateway: between the arrival of a webhook and its 202 the store was flushed to the medium. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { readFacts } from '../support/read-facts.ts';
import { skipTest } from '../support/skip.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until, within } from '../support/within.ts';
import { callsOf, type SystemCall, whyNoTrace } from './system-calls.ts';

const test = suite('fsync before 202');

const WEBHOOKS = 10;
const CONFIG = `
[model]
provider = "echo"
[[webhooks]]
integration_id = "orders"
secret_refs = ["env:ORDERS_SECRET"]
`;

interface Span {
  readonly status: number;
  /** Flushes that began after the arrival and ended before the answer. */
  readonly flushes: number;
}

/** Writes to the commit log, which is opened so that a write returns when it is durable. */
function flushesOf(lines: readonly string[]): readonly SystemCall[] {
  const logs = new Set<string>();
  return callsOf(lines).filter(({ text }) => {
    const opened = /\bopenat\(.*commits-\d\.log".*O_DSYNC.* = (\d+)$/.exec(text)?.[1];
    if (opened !== undefined) logs.add(opened);
    const written = /\bpwrite64\((\d+), .* = [1-9]\d*$/.exec(text)?.[1];
    return written !== undefined && logs.has(written);
  });
}

/** Reads the trace: arrivals by their webhook-id, answers in the order of the sequential sender. */
function spansOf(trace: string, ids: readonly string[]): readonly Span[] {
  const lines = trace.split('\n');
  const flushed = flushesOf(lines);
  let start = 0;
  return ids.map((id) => {
    const arrival = lines.findIndex(
      (line, at) => at >= start && line.includes(`webhook-id: ${id}\\r`),
    );
    assert.ok(arrival >= 0, `the arrival of ${id} is in the trace`);
    const answer = lines.findIndex((line, at) => at > arrival && /"HTTP\/1\.1 20\d/.test(line));
    assert.ok(answer > arrival, `the answer to ${id} is in the trace`);
    start = answer;
    const status = Number(/"HTTP\/1\.1 (\d+)/.exec(lines[answer] ?? '')?.[1]);
    // Whole ones only: one that began before the arrival proves nothing.
    const flushes = flushed.filter(
      ({ from, to, text }) => from > arrival && to < answer && text.includes(`${id}\\`),
    ).length;
    return { status, flushes };
  });
}

const TITLE = `each of ${WEBHOOKS} webhooks is flushed to the medium between its arrival and its 202; a duplicate needs no flush`;
const reason = whyNoTrace();

if (reason !== '') skipTest(test, TITLE, reason);
else {
  test(TITLE, () =>
    withStateRoot(async (stateRoot) => {
      const directory = mkdtempSync(join(tmpdir(), 'palyra-trace-'));
      const file = join(directory, 'trace');
      const calls = 'trace=openat,pwrite64,recvfrom,read,sendto,write,writev';
      const gateway = await startGateway({
        config: CONFIG,
        stateRoot,
        env: { ORDERS_SECRET: TEST_SECRET },
        under: ['strace', '-f', '-s', '2048', '-o', file, '-e', calls],
        readyMs: 120_000,
      });
      try {
        const post = (webhookId: string) =>
          postWebhook({
            url: gateway.url,
            integrationId: 'orders',
            webhookId,
            payload: { text: webhookId },
          });
        const ids = Array.from({ length: WEBHOOKS }, (_, n) => `traced-${n}`);
        for (const id of ids) assert.is((await post(id)).status, 202);
        await until('all runs are over', () => isQuiet(gateway), 60_000);
        assert.is((await post('traced-0')).status, 200);
        process.kill(gateway.pid, 'SIGTERM');
        await within('its end', gateway.ended, 60_000);
        const spans = spansOf(readFileSync(file, 'latin1'), [...ids, 'traced-0']);
        for (const [n, { status, flushes }] of spans.slice(0, WEBHOOKS).entries()) {
          assert.is(status, 202);
          assert.ok(flushes > 0, `webhook ${n} was answered without a flush`);
        }
        const last = spans.at(-1);
        assert.equal(last, { status: 200, flushes: 0 }, 'the check tells a flush from none');
        console.log(
          `flushes between arrival and 202: ${spans.map(({ flushes }) => flushes).join(' ')}`,
        );
      } finally {
        await gateway.kill();
        rmSync(directory, { recursive: true, force: true });
      }
    }),
  );
}

async function isQuiet(gateway: GatewayProcess): Promise<boolean> {
  const facts = await readFacts(gateway);
  return facts.filter(({ type }) => type === 'run.finished').length === WEBHOOKS;
}

test.run();
