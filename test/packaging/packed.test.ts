/** What npm would publish: read by publint and attw as tools of its users read it, and loaded with the packages that each part needs. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listFiles, packPackage } from '../support/packed-package.ts';

const ATTW = fileURLToPath(
  new URL('./dist/index.js', import.meta.resolve('@arethetypeswrong/cli/package.json')),
);
const TSC = fileURLToPath(new URL('./bin/tsc', import.meta.resolve('typescript/package.json')));
const TOOL_MS = 60_000;

/** The packages that a part of the runtime loads, beside Node. */
const PARTS = {
  'palyra/runtime': ['comlink', 'msgpackr'],
  'palyra/runtime/otel': ['@opentelemetry/api'],
  'palyra/testing': ['msgpackr'],
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

for (const [name, packages] of Object.entries(PARTS)) {
  test(`${name} loads with ${packages.join(', ')} and no other package`, () => {
    const host = packed.install(packages);
    host.write('load.js', `console.log(Object.keys(await import('${name}')).length > 0);\n`);
    const { stdout, stderr } = host.run('load.js');
    assert.is(stdout.trim(), 'true', stderr);
  });
}

test('every part has types that a strict host compiles with', () => {
  const host = packed.install();
  const names = Object.keys(PARTS).concat('palyra');
  host.write(
    'host.ts',
    names.map((name, i) => `import * as part${i} from '${name}';\nvoid part${i};\n`).join(''),
  );
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      TSC,
      '--noEmit',
      '--strict',
      '--target',
      'es2023',
      '--module',
      'nodenext',
      '--types',
      join(TSC, '../../../@types/node'),
      'host.ts',
    ],
    { cwd: host.directory, encoding: 'utf8', timeout: TOOL_MS },
  );
  assert.is(status, 0, stdout);
});

test.run();
