/** What npm would publish: read by publint and attw as tools of its users read it, and loaded with the packages that each part needs. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Installed, listFiles, packPackage } from '../support/packed-package.ts';

/** Each part runs in a process of its own. */
export const deadlineMs = 300_000;

const ATTW = fileURLToPath(
  new URL('./dist/index.js', import.meta.resolve('@arethetypeswrong/cli/package.json')),
);
const TSC = fileURLToPath(new URL('./bin/tsc', import.meta.resolve('typescript/package.json')));
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const TOOL_MS = 60_000;

/** What each part is for, in a few lines, and the packages that it needs for it. */
const PARTS: Readonly<
  Record<string, { readonly packages: readonly string[]; readonly host: string }>
> = {
  'palyra/runtime': {
    packages: ['comlink', 'msgpackr'],
    host: `
import { child, createSystem, defineActor } from 'palyra/runtime';
const actor = defineActor({
  module: import.meta.url, export: 'actor', name: 'actor',
  mailbox: { limitMessages: 10, overflow: 'reject' },
  start: () => null, receive: { ping: () => 'done' },
});
const system = await createSystem({ name: 'demo', threads: 'inline' });
const ref = system.spawn(child(actor, { id: 'actor', args: null }));
console.log(await system.ask(ref, 'ping', null, { inMs: 20_000 }));
await system.stop();
`,
  },
  'palyra/runtime/jobs': {
    packages: ['piscina'],
    host: `
import { createJobPool } from 'palyra/runtime/jobs';
const pool = createJobPool({ maxThreads: 1 });
const job = { module: new URL('./job.js', import.meta.url).href, export: 'work', input: 'done' };
console.log((await pool.run(job, new AbortController().signal)).output);
await pool.close();
`,
  },
  'palyra/runtime/machine': {
    packages: ['xstate'],
    host: `
import { createMachineTable, setup } from 'palyra/runtime/machine';
const lamp = setup({}).createMachine({
  id: 'lamp', initial: 'off', context: {}, states: { off: { on: { flip: 'done' } }, done: {} },
});
const table = createMachineTable(lamp);
console.log(table.next(table.initial(), { type: 'flip' }).value);
`,
  },
  'palyra/runtime/otel': {
    packages: ['@opentelemetry/api'],
    host: `
import { openTelemetry } from 'palyra/runtime/otel';
console.log(openTelemetry() === undefined ? 'done' : 'traced without a provider');
`,
  },
  'palyra/runtime/store': {
    packages: ['lmdb', 'msgpackr'],
    host: `
import { joinChanges, openLmdbStore } from 'palyra/runtime/store';
const store = await openLmdbStore({ directory: './store' });
await store.commit([joinChanges({ put: [{ table: 't', key: 'k', row: { v: 1, text: 'done' } }] })], 0);
console.log(store.read('t', 'k').row.text);
await store.close();
`,
  },
  'palyra/testing': {
    packages: ['comlink', 'msgpackr', 'xstate'],
    host: `
import { createBehaviorKit, VirtualHost } from 'palyra/testing';
const kit = await createBehaviorKit({ start: () => 'done', receive: { ping: (state) => state } }, null, null);
const host = new VirtualHost({ seed: 1 });
host.nextTurn(() => console.log(kit.receive('ping', null)));
host.turn();
`,
  },
};

const packed = packPackage();
const test = suite('the packed package');
test.after(() => packed.remove());

test('publint has nothing to say', async () => {
  const tarball = new Uint8Array(readFileSync(packed.tarball)).buffer;
  const { messages } = await publint({ pack: { tarball }, strict: true });
  assert.equal(messages, []);
});

test('attw finds types for every ESM way to import it', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [ATTW, packed.tarball, '--profile', 'esm-only', '--no-color'],
    { cwd: packed.directory, encoding: 'utf8', timeout: TOOL_MS },
  );
  assert.is(status, 0, stdout + stderr);
});

test('it holds what runs and what is read, no test, bench or trace of a build', () => {
  const files = listFiles(packed);
  for (const name of ['README.md', 'LICENSE', 'runtime/SEMANTICS.md', 'dist/cli/main.js']) {
    assert.ok(files.includes(name), name);
  }
  const odd = files.filter((name) => /^dist\/(?:test|bench|\.)/.test(name));
  assert.equal(odd, []);
});

for (const [name, { packages, host }] of Object.entries(PARTS)) {
  test(`${name} works with ${packages.join(', ') || 'no package'}, and nothing else`, () => {
    const installed = packed.install(packages);
    installed.write('job.js', 'export const work = (input) => input;\n');
    installed.write('host.js', host);
    const { stdout, stderr } = installed.run('host.js');
    assert.is(stdout, 'done\n', stderr);
  });
}

test('every part that a host imports is among them', () => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly exports: object;
  };
  // The gateway needs all packages, a worker's entry a thread; both have tests of their own.
  const others = ['.', './runtime/worker', './package.json'];
  const parts = Object.keys(PARTS).map((name) => name.replace(/^palyra/, '.'));
  assert.equal([...parts, ...others].sort(), Object.keys(exports).sort());
});

const TYPED_HOST = `
import { child, createSystem, defineActor } from 'palyra/runtime';

interface Counter {
  add(n: number): void;
  total(nothing: null): number;
}
const counterActor = defineActor<Counter, {}, null, { total: number }, undefined>({
  module: import.meta.url, export: 'counterActor', name: 'counter',
  mailbox: { limitMessages: 10, overflow: 'reject' },
  start: () => ({ total: 0 }),
  receive: { add: (state, n) => void (state.total += n), total: (state) => state.total },
});
const system = await createSystem({ name: 'demo', threads: 'inline' });
const counter = system.spawn(child(counterActor, { id: 'counter', args: null }));
system.tell(counter, 'add', 2);
// @ts-expect-error: no message of its protocol
system.tell(counter, 'subtract', 1);
const total: number = await system.ask(counter, 'total', null, { inMs: 20_000 });
console.log(total);
await system.stop();
`;

test('every part has types that a strict host compiles with, and the host runs', () => {
  const host = packed.install();
  const names = [...Object.keys(PARTS), 'palyra'];
  const imports = names.map((name, i) => `import type * as part${i} from '${name}';\n`);
  const uses = names.map((_, i) => `export type Part${i} = typeof part${i};\n`);
  compile(host, { 'host.ts': [...imports, ...uses, TYPED_HOST].join('') });
  const ran = host.run('host.js');
  assert.is(ran.stdout, '2\n', ran.stderr);
});

const TYPED_CALLS = `
import type {
  Accepted, Attachment, Connector, ConnectorAccount, ConnectorDeps, ConnectorPorts, DeliveryAttempt, DeliveryOutcome,
  ErrorCode, GatewayHandle, HealthObservation, InboundOffer, KindSource, Liveness, Readiness, Refused,
} from 'palyra';
import { CONVERSATION_BUSY, PalyraError } from 'palyra';

export type Contract = [
  Accepted, Attachment, Connector, ConnectorAccount, ConnectorDeps, ConnectorPorts, DeliveryAttempt, DeliveryOutcome,
  ErrorCode, HealthObservation, InboundOffer, KindSource, Liveness, Readiness, Refused,
];
export const code: ErrorCode = new PalyraError('unavailable', CONVERSATION_BUSY).code;
export async function calls(gateway: GatewayHandle): Promise<void> {
  await gateway.call('channels.list', {});
  await gateway.call('journal.read', { limit: 5 });
  await gateway.call('channels.get', { connector_id: 'console:me' });
  // @ts-expect-error: it names no connector
  await gateway.call('channels.get', {});
}
`;

test('a connector and its host are written with the types of the root', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  assert.is(examples.length, 2);
  const [kind = '', gateway = ''] = examples;
  const files = { 'console.ts': kind, 'gateway.ts': gateway, 'calls.ts': TYPED_CALLS };
  compile(packed.install(), files);
});

function compile(host: Installed, files: Readonly<Record<string, string>>): void {
  const paths = Object.entries(files).map(([name, text]) => host.write(name, text));
  const flags = '--strict --target es2023 --module nodenext --types'.split(' ');
  const nodeTypes = fileURLToPath(new URL('.', import.meta.resolve('@types/node/package.json')));
  const { status, stdout } = spawnSync(process.execPath, [TSC, ...flags, nodeTypes, ...paths], {
    cwd: host.directory,
    encoding: 'utf8',
    timeout: TOOL_MS,
  });
  assert.is(status, 0, stdout);
}

test.run();
