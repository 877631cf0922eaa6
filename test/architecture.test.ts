/** Executes the floor table and the rules of the code on every source file, and each rule on a file that breaks it. */
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  checkActors,
  checkCycles,
  checkFloors,
  checkPackages,
  checkPlatforms,
} from './architecture/imports.ts';
import {
  readSources,
  type SourceFile,
  toSourceFile,
  type Violation,
} from './architecture/source-file.ts';
import {
  checkAmbient,
  checkName,
  checkShape,
  checkTestRuns,
  checkWords,
} from './architecture/words.ts';

const house = suite('the house');
const rules = suite('the rules themselves');

const root = join(import.meta.dirname, '..', '..');
const files = readSources(root);

function holds(title: string, check: (file: SourceFile) => Violation[]): void {
  house(title, () => report(files.flatMap(check)));
}

function report(violations: readonly Violation[]): void {
  const lines = violations.map(({ file, rule, remedy }) => `${file}\n    ${rule}\n    → ${remedy}`);
  if (lines.length > 0) throw new Error(`${lines.length} violations\n  ${lines.join('\n  ')}\n`);
}

holds('imports only go down', checkFloors);
holds('each package belongs to its folder', checkPackages);
holds('one platform never sees another', checkPlatforms);
holds(
  "an actor's folder is seen by its protocol and rows, and its pure files stay pure",
  checkActors,
);
house('no cycle of value imports', () => report(checkCycles(files)));
holds('every file is named after a concept', checkName);
holds('every file is short and says what it is', checkShape);
holds('every test file runs its suites', checkTestRuns);
holds('time, chance, the process and files come in from outside', checkAmbient);
holds('the code speaks of itself only', checkWords);
house('the sources are found', () =>
  assert.ok(files.length > 20, `${files.length} files in ${root}`),
);
house.run();

const COMMENT = '/** A file. */\n';

function breaks(check: (file: SourceFile) => Violation[], path: string, text: string): void {
  const found = check(toSourceFile(path, COMMENT + text));
  assert.is(found.length, 1, `${path}: ${text} → ${JSON.stringify(found)}`);
}

function keeps(check: (file: SourceFile) => Violation[], path: string, text: string): void {
  assert.equal(check(toSourceFile(path, COMMENT + text)), [], `${path}: ${text}`);
}

rules('an import upwards, sideways or of a test is refused', () => {
  breaks(checkFloors, 'runtime/a.ts', "import { x } from '../proto/ids.ts';");
  breaks(
    checkFloors,
    'connectors/a/b.ts',
    "import type { X } from '../../transports/http/index.ts';",
  );
  breaks(checkFloors, 'actors/a/b.ts', "const x = await import('../../cli/main.ts');");
  breaks(checkFloors, 'cli/a.ts', "export { x } from '../test/support/x.ts';");
  breaks(checkFloors, 'proto/a.ts', "import {\n  x,\n  type Y,\n} from '../runtime/actor.ts';");
  keeps(checkFloors, 'cli/a.ts', "import { x } from '../actors/tree.ts';");
  keeps(checkFloors, 'runtime/a.ts', "// import { x } from '../proto/ids.ts';\nimport './b.ts';");
  keeps(checkFloors, 'runtime/a.ts', "const t = `\nimport { x } from '../proto/ids.ts';\n`;");
});

rules('a package outside its folder, or in no folder yet, is refused', () => {
  breaks(checkPackages, 'actors/a/b.ts', "import { Worker } from 'node:worker_threads';");
  breaks(checkPackages, 'transports/grpc/a.ts', "import uws from 'uWebSockets.js';");
  breaks(checkPackages, 'runtime/store/lmdb.ts', "const { open } = await import('lmdb');");
  breaks(checkPackages, 'cli/a.ts', "import { suite } from 'uvu';");
  breaks(checkPackages, 'cli/a.ts', "import left from 'left-pad';");
  breaks(checkPackages, 'connectors/telegram/a.ts', "import type { X } from 'node:fs';");
  keeps(checkPackages, 'runtime/store/lmdb/a.ts', "import { open } from 'lmdb';");
  keeps(checkPackages, 'test/a.ts', "import { Bot } from 'grammy';\nimport fc from 'fast-check';");
});

rules("an actor that reaches into another's folder is refused", () => {
  breaks(checkActors, 'actors/a/actor.ts', "import { b } from '../b/actor.ts';");
  breaks(checkActors, 'actors/a/actor.ts', "import { b } from '../b/inner/rows.ts';");
  breaks(checkActors, 'actors/index.ts', "import { b } from './b/actor.ts';");
  breaks(checkActors, 'actors/a/decide.ts', "import { b } from '../../runtime/actor.ts';");
  breaks(checkActors, 'actors/a/decide.ts', "import { b } from './actor.ts';");
  breaks(checkActors, 'actors/a/rows.ts', "import { b } from '../../runtime/store/store.ts';");
  keeps(checkActors, 'actors/a/rows.ts', "import type { B } from '../../runtime/store/store.ts';");
  keeps(checkActors, 'actors/a/machine.ts', "import { m } from '../../runtime/machine/index.ts';");
  keeps(checkActors, 'actors/a/actor.ts', "import type { B } from '../b/protocol.ts';");
  keeps(checkActors, 'actors/tree.ts', "import { b } from './b/actor.ts';");
});

rules('one platform that imports another is refused', () => {
  breaks(checkPlatforms, 'connectors/a/b.ts', "import { x } from '../c/x.ts';");
  keeps(checkPlatforms, 'connectors/a/b.ts', "import { x } from '../connector.ts';");
});

rules('a cycle of values is refused, a cycle with a type or a late import is not', () => {
  const cycle = (line: string) =>
    checkCycles([
      toSourceFile('runtime/a.ts', "import { b } from './b.ts';"),
      toSourceFile('runtime/b.ts', line),
    ]).length;
  assert.is(cycle("import { a } from './a.ts';"), 1);
  assert.is(cycle("export { a } from './a.ts';"), 1);
  assert.is(cycle("import type { a } from './a.ts';"), 0);
  assert.is(cycle("const a = await import('./a.ts');"), 0);
});

rules('names of forms, long files, files without a module comment are refused', () => {
  breaks(checkName, 'runtime/utils.ts', '');
  breaks(checkName, 'test/support/helpers.test.ts', '');
  breaks(checkName, 'runtime/FairQueue.ts', '');
  keeps(checkName, 'runtime/fair-queue.test.ts', '');
  breaks(checkShape, 'runtime/a.ts', '\n'.repeat(401));
  assert.is(checkShape(toSourceFile('runtime/a.ts', 'export {};\n')).length, 1);
  breaks(checkShape, 'runtime/index.ts', "export * from './a.ts';");
});

rules('a suite that never runs is refused', () => {
  breaks(checkTestRuns, 'test/a.test.ts', "const t = suite('a');\nconst u = suite('b');\nt.run();");
  breaks(checkTestRuns, 'test/a.test.ts', "const t = suite('a');\n// t.run();");
  breaks(checkTestRuns, 'test/a.test.ts', 'export {};');
  keeps(checkTestRuns, 'test/a.test.ts', "const t = suite('a');\nt.run();");
  keeps(checkTestRuns, 'test/a.test.ts', "import { a } from './contracts/a.contract.ts';\na();");
});

rules('ambient powers are refused where behaviour must be repeatable', () => {
  for (const line of [
    'const t = Date.now();',
    'const t = new Date().toISOString();',
    'const t = performance.now();',
    'setTimeout(f, 1);',
    `const t = \`$\u007bDate.now()}\`;`,
    'const r = Math.random();',
    "import { randomBytes } from 'node:crypto';",
    'const e = process.env.X;',
    'let count = 0;',
    'const seen = new Map<string, number>();',
    'const s = AbortSignal.timeout(1);',
    'queueMicrotask(f);',
  ]) {
    breaks(checkAmbient, 'actors/a/actor.ts', line);
    keeps(checkAmbient, 'runtime/host/node-host.ts', line);
    keeps(checkAmbient, 'cli/a.ts', line);
  }
  for (const line of [
    '// Date.now() would tie it to the machine',
    "const text = 'process.env';",
    'const at = new Date(ms).toISOString();',
    'function f() {\n  let count = 0;\n  const seen = new Map();\n}',
    'clock.setTimeout(f, 1);',
    'const half = a / 2; const m = /Date.now()/.test(b); // process.env',
  ]) {
    keeps(checkAmbient, 'actors/a/actor.ts', line);
  }
});

rules('words that do not belong are refused', () => {
  breaks(checkWords, 'cli/a.ts', '// TODO later');
  breaks(checkWords, 'cli/a.ts', "const dir = '/home/somebody/project';");
  breaks(checkWords, 'cli/a.ts', 'const x = y as any;');
  breaks(checkWords, 'cli/a.ts', '// @ts-ignore');
  breaks(checkWords, 'runtime/a.ts', '/** one chat */');
  keeps(checkWords, 'connectors/a.ts', '/** one chat, and any other */');
});
rules.run();
