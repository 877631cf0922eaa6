/** Spans over threads: runtime/SEMANTICS.md O4. */
import { execFileSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, createSystem, refTo, type System, supervisor } from '../../../runtime/index.ts';
import { openTelemetry } from '../../../runtime/observe/otel.ts';
import { until } from '../../support/within.ts';
import { MODES, type Mode } from '../support/system.ts';
import { type EndedSpan, ended, type TracedProtocol, tracedActor } from './traced-setup.ts';

const IN_5S = { inMs: 5_000 };
const [a, b] = ['a', 'b'].map((id) => refTo<TracedProtocol>('t', `root/${id}`)) as [
  ReturnType<typeof refTo<TracedProtocol>>,
  ReturnType<typeof refTo<TracedProtocol>>,
];
const SETUP = {
  module: new URL('./traced-setup.js', import.meta.url).href,
  export: 'tracedSetup',
  args: null,
};

async function withTraced(mode: Mode, work: (system: System) => Promise<void>): Promise<void> {
  const threads = mode === 'inline' ? ('inline' as const) : { pool: 2, spare: false };
  const system = await createSystem({ name: 't', threads, thread: SETUP });
  try {
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 9,
      periodMs: 1_000,
      backoff: { minMs: 1, maxMs: 1 },
      children: ['a', 'b'].map((id) => child(tracedActor, { id, args: null, placement: 'pool' })),
    });
    await system.started(system.spawn(root));
    await work(system);
  } finally {
    await system.stop({ deadlineMs: 4_000 });
  }
}

async function allSpans(system: System): Promise<readonly EndedSpan[]> {
  const theirs = await Promise.all([a, b].map((ref) => system.ask(ref, 'spans', null, IN_5S)));
  const byId = new Map([...ended, ...theirs.flat()].map((span) => [span.spanId, span]));
  return [...byId.values()];
}

const test = suite('spans');

test('O4 without a registered tracer provider there is no tracing', () => {
  assert.is(openTelemetry(), undefined);
});

for (const mode of MODES) {
  test(`O4 an ask that asks on is one trace of four spans (${mode})`, () =>
    withTraced(mode, async (system) => {
      const traceparent = await system.ask(a, 'relay', b, IN_5S);
      const [, traceId, leafId] = traceparent.split('-');
      const ours = (await allSpans(system)).filter((span) => span.traceId === traceId);
      const byName = (name: string, parent: string) =>
        ours.find((span) => span.name === name && span.parent === parent);
      const asked = byName('ask relay', '');
      const relay = byName('traced relay', asked?.spanId ?? '?');
      const askedOn = byName('ask leaf', relay?.spanId ?? '?');
      const leaf = byName('traced leaf', askedOn?.spanId ?? '?');
      assert.is(leaf?.spanId, leafId);
      assert.is(ours.length, 4);
      const threads = new Set([asked, relay, leaf].map((span) => span?.thread));
      assert.is(threads.size, mode === 'inline' ? 1 : 3);
    }));

  test(`O4 a span of what fails has the code and not the message (${mode})`, () =>
    withTraced(mode, async (system) => {
      assert.is(
        await system.ask(a, 'fails', null, IN_5S).catch(({ code }) => code),
        'actor_crashed',
      );
      const span = await until('the spans', async () =>
        (await allSpans(system).catch(() => [])).find(({ name }) => name === 'ask fails'),
      );
      assert.is(span.failure, 'actor_crashed');
      const handled = ended.find(({ name }) => name === 'traced fails');
      if (mode === 'inline') assert.is(handled?.failure, 'told_to');
    }));
}

test('O4 the runtime alone does not load @opentelemetry/api', () => {
  const index = new URL('../../../runtime/index.js', import.meta.url).href;
  const refuse = `export async function resolve(name, context, next) {
    if (name.startsWith('@opentelemetry/')) throw new Error('not installed');
    return next(name, context);
  }`;
  const hook = `import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(refuse)}));`;
  const script = `import(${JSON.stringify(index)}).then(async ({ createSystem }) => {
    const system = await createSystem({ name: 'x', threads: { pool: 1, spare: false } });
    await system.stop();
    console.log('ran');
  });`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, '-e', script];
  const out = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  assert.is(out.trim(), 'ran');
});

test.run();
