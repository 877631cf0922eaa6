/** Hosts that esbuild made into files of their own: threads, supervisors and actors are found without the package beside them. */
import { join } from 'node:path';
import { build } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Installed, packPackage } from '../support/packed-package.ts';

/** A supervisor on a pool thread with one child: that thread has to find both. */
const HOST = `
import { isMainThread, Worker } from 'node:worker_threads';
import { child, createSystem, refTo, supervisor } from 'palyra/runtime';
import { placeActor } from './place.js';

async function main(options) {
  const system = await createSystem({ name: 'demo', ...options });
  const place = child(placeActor, { id: 'place', args: null });
  const limits = { strategy: 'one_for_one', intensity: 0, periodMs: 1_000 };
  const team = supervisor('team', { ...limits, children: [place] }, 'pool');
  await system.started(system.spawn(supervisor('root', { ...limits, children: [team] })));
  const ref = refTo('demo', 'root/team/place');
  console.log(await system.ask(ref, 'where', null, { inMs: 20_000 }));
  await system.stop();
}
const workerOf = (file) => (_entry, options) =>
  new Worker(new URL(file, import.meta.url), options);
`;

const PLACE = `
import { isMainThread } from 'node:worker_threads';
import { defineActor } from 'palyra/runtime';
export const placeActor = defineActor({
  module: import.meta.url, export: 'placeActor', name: 'place',
  mailbox: { limitMessages: 10, overflow: 'reject' },
  start: (_self, _args, deps) => deps,
  receive: { where: (deps) => [isMainThread ? 'main' : 'thread', deps ?? 'no deps'].join(', ') },
});
`;

const packed = packPackage();
const test = suite('bundles');
test.after(() => packed.remove());

/** Builds `entries` where the package is, and runs the first of them, `host.js`, where it is not. */
async function bundleAndRun(host: Installed, entries: Readonly<Record<string, string>>) {
  host.write('place.js', PLACE);
  const outdir = join(packed.directory, 'out', ...Object.keys(entries));
  await build({
    absWorkingDir: host.directory,
    entryPoints: { ...entries },
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  });
  const { stdout, stderr } = host.run(join(outdir, 'host.mjs'));
  return stdout.trim() || stderr;
}

test('a thread begins with the second entry point, and finds its actors in the first', async () => {
  const host = packed.install(['comlink', 'msgpackr']);
  host.write(
    'host.js',
    `${HOST}
export { placeActor };
if (isMainThread) main({ threads: { pool: 1, createWorker: workerOf('./worker.mjs') } });
`,
  );
  const entries = { host: './host.js', worker: 'palyra/runtime/worker' };
  assert.is(await bundleAndRun(host, entries), 'thread, no deps');
});

test('a worker file that only imports the worker of the runtime keeps it', async () => {
  const host = packed.install(['comlink', 'msgpackr']);
  host.write('thread.js', "import 'palyra/runtime/worker';\n");
  host.write(
    'host.js',
    `${HOST}
export { placeActor };
if (isMainThread) main({ threads: { pool: 1, createWorker: workerOf('./thread.mjs') } });
`,
  );
  const entries = { host: './host.js', thread: './thread.js' };
  assert.is(await bundleAndRun(host, entries), 'thread, no deps');
});

test('one file exports its thread setup alone, whose resolver finds the actors', async () => {
  const host = packed.install(['comlink', 'msgpackr']);
  host.write(
    'host.js',
    `${HOST}
const actors = { placeActor };
export const setup = (deps) => ({ deps, resolve: async (_module, name) => actors[name] });
const thread = { module: import.meta.url, export: 'setup', args: 'from the setup' };
if (isMainThread) main({ thread, threads: { pool: 1, createWorker: workerOf(import.meta.url) } });
else await import('palyra/runtime/worker');
`,
  );
  assert.is(await bundleAndRun(host, { host: './host.js' }), 'thread, from the setup');
});

test('the worker of the runtime is refused in a thread that no system made', () => {
  const host = packed.install(['comlink', 'msgpackr']);
  host.write(
    'load.js',
    "await import('palyra/runtime/worker').catch(({ code }) => console.log(code));\n",
  );
  host.write(
    'host.js',
    `import { Worker } from 'node:worker_threads';
await import('./load.js');
new Worker(new URL('./load.js', import.meta.url));
`,
  );
  const { stdout, stderr } = host.run('host.js');
  assert.is(stdout, 'bad_option\nbad_option\n', stderr);
});

test.run();
