/** What preparing a checkout does on a small project of its own: it builds what is stale, once, and leaves nothing old. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('prepare');
const root = join(import.meta.dirname, '..', '..');

interface Project {
  readonly folder: string;
  write(name: string, text: string): void;
  has(name: string): boolean;
}

function createProject(): Project {
  const folder = mkdtempSync(join(tmpdir(), 'palyra-prepare-'));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  for (const name of ['.ci', 'proto', 'node_modules']) mkdirSync(join(folder, name));
  copyFileSync(join(root, '.ci', 'prepare.mjs'), join(folder, '.ci', 'prepare.mjs'));
  symlinkSync(join(root, 'node_modules', 'typescript'), join(folder, 'node_modules', 'typescript'));
  write('package.json', '{"type":"module"}');
  write('package-lock.json', '{"packages":{"":{}}}');
  write('node_modules/.package-lock.json', '{"packages":{}}');
  write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        target: 'es2023',
        module: 'nodenext',
        strict: true,
        types: [],
        rootDir: '.',
        outDir: 'dist',
        declaration: true,
        sourceMap: true,
      },
      include: ['proto'],
    }),
  );
  write('proto/a.ts', 'export const a: number = 1;\n');
  return { folder, write, has: (name) => existsSync(join(folder, name)) };
}

interface Run {
  readonly exit: number;
  readonly text: string;
}

function prepare({ folder }: Project, ...args: string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(
      process.execPath,
      [join(folder, '.ci', 'prepare.mjs'), ...args],
      { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 },
    );
    let text = '';
    const add = (part: Buffer) => {
      text += part.toString();
    };
    child.stdout?.on('data', add);
    child.stderr?.on('data', add);
    child.once('error', reject);
    child.once('close', (code) => resolve({ exit: code ?? -1, text }));
  });
}

async function withProject(work: (project: Project) => Promise<void>): Promise<void> {
  const project = createProject();
  try {
    await work(project);
  } finally {
    rmSync(project.folder, { recursive: true, force: true });
  }
}

test('it builds what is missing, and says nothing when nothing is to do', () =>
  withProject(async (project) => {
    const first = await prepare(project);
    assert.is(first.exit, 0, first.text);
    assert.match(first.text, /^prepare: build dist\/, [\d.]+ s\n$/);
    assert.ok(project.has('dist/proto/a.js'));
    assert.equal(await prepare(project), { exit: 0, text: '' });
    assert.match((await prepare(project, '--force')).text, 'build dist/');
  }));

test('a changed, a new and a deleted source are each built again, and no old output stays', () =>
  withProject(async (project) => {
    await prepare(project);
    project.write('proto/b.ts', 'export const b: number = 2;\n');
    assert.match((await prepare(project)).text, 'build dist/');
    assert.ok(project.has('dist/proto/b.js'));
    project.write('proto/b.ts', 'export const b: number = 22;\n');
    assert.match((await prepare(project)).text, 'build dist/');
    rmSync(join(project.folder, 'proto/b.ts'));
    assert.match((await prepare(project)).text, 'build dist/');
    for (const name of ['b.js', 'b.js.map', 'b.d.ts']) {
      assert.is(project.has(`dist/proto/${name}`), false, name);
    }
    assert.ok(project.has('dist/proto/a.js'));
  }));

test("the project's own command is linked where npx looks, and again when it is gone", () =>
  withProject(async (project) => {
    project.write('proto/a.ts', "#!/usr/bin/env node\nconsole.log('it runs');\n");
    project.write('package.json', '{"type":"module","bin":{"own":"./dist/proto/a.js"}}');
    const link = join(project.folder, 'node_modules/.bin/own');
    for (let round = 1; round <= 2; round += 1) {
      const { exit, text } = await prepare(project);
      assert.is(exit, 0, text);
      assert.is(spawnSync(link, { encoding: 'utf8' }).stdout, 'it runs\n');
      rmSync(link);
    }
  }));

test('a type error fails, each time, until it is mended', () =>
  withProject(async (project) => {
    project.write('proto/a.ts', "export const a: number = 'one';\n");
    for (const run of [await prepare(project), await prepare(project)]) {
      assert.is(run.exit, 1);
      assert.match(run.text, 'TS2322');
    }
    project.write('proto/a.ts', 'export const a: number = 1;\n');
    assert.is((await prepare(project)).exit, 0);
  }));

test('two at once build once, also past a lock whose owner died', () =>
  withProject(async (project) => {
    mkdirSync(join(project.folder, 'dist'));
    const dead = await deadPid();
    project.write('dist/.prepare.lock', String(dead));
    const runs = await Promise.all([prepare(project), prepare(project), prepare(project)]);
    assert.equal(
      runs.map(({ exit }) => exit),
      [0, 0, 0],
    );
    const builds = runs.filter(({ text }) => text.includes('build dist/'));
    assert.is(builds.length, 1, JSON.stringify(runs));
    assert.ok(statSync(join(project.folder, 'dist/proto/a.js')).size > 0);
    assert.is(project.has('dist/.prepare.lock'), false);
  }));

test('a manifest that its lock file does not describe is refused before anything is removed', () =>
  withProject(async (project) => {
    project.write('package.json', '{"dependencies":{"left-pad":"1.0.0"}}');
    const { exit, text } = await prepare(project);
    assert.is(exit, 1);
    assert.match(text, 'run npm install');
    assert.ok(project.has('node_modules/typescript'));
  }));

/** A process id that was in use and is not any more. */
function deadPid(): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', '']);
    child.once('error', reject);
    child.once('exit', () => resolve(child.pid ?? 0));
  });
}

test.run();
