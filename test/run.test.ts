/** What the test runner says of files that pass, fail, hang, crash, skip or never run. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('test runner');

const HEAD = `import { suite } from ${JSON.stringify(import.meta.resolve('uvu'))};
const t = suite('inner');
`;
const GOOD = `${HEAD}t('works', () => {});\nt.run();\n`;

function run(files: Readonly<Record<string, string>>, ...args: string[]) {
  const root = mkdtempSync(join(tmpdir(), 'palyra-runner-'));
  try {
    mkdirSync(join(root, 'faults'));
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
    const runner = join(import.meta.dirname, 'run.js');
    const { stdout, status } = spawnSync(process.execPath, [runner, '--root', root, ...args], {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, UVU_DEFER: undefined, PALYRA_TEST_SCALE: undefined },
    });
    return { stdout, status, last: stdout.trimEnd().split('\n').at(-1) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test('files that pass end in the plain line of counts and exit 0', () => {
  const { last, status } = run({ 'a.test.js': GOOD, 'b.test.js': GOOD, 'faults/c.test.js': GOOD });
  assert.is(last, '3 passed, 0 failed');
  assert.is(status, 0);
});

test('a failing test is counted, its output shown, and the exit is 1', () => {
  const bad = `${HEAD}t('works', () => {});\nt('breaks', () => { throw new Error('on purpose'); });\nt.run();\n`;
  const { stdout, last, status } = run({ 'a.test.js': bad });
  assert.is(last, '1 passed, 1 failed');
  assert.match(stdout, 'on purpose');
  assert.is(status, 1);
});

test('a file whose suite never runs is a failure', () => {
  const { last, stdout, status } = run({ 'a.test.js': `${HEAD}t('works', () => {});\n` });
  assert.is(last, '0 passed, 1 failed');
  assert.match(stdout, 'never reported');
  assert.is(status, 1);
});

test('a file with no test in it is a failure', () => {
  assert.is(run({ 'a.test.js': `${HEAD}t.run();\n` }).last, '0 passed, 1 failed');
});

test('a file that crashes while it loads is a failure', () => {
  const { last, stdout } = run({ 'a.test.js': "throw new Error('at the door');\n" });
  assert.is(last, '0 passed, 1 failed');
  assert.match(stdout, 'at the door');
});

test('a file whose tests pass and whose process then crashes is a failure', () => {
  const late = `${GOOD}setTimeout(() => process.exit(3), 200);\n`;
  assert.is(run({ 'a.test.js': late }).last, '1 passed, 1 failed');
});

test('a file that hangs is killed at its deadline with the processes it started', () => {
  const hang = `import { spawn } from 'node:child_process';
${HEAD}export const deadlineMs = 1_500;
spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
t('never ends', () => new Promise(() => {}));
t.run();
setInterval(() => {}, 1000);
`;
  const { last, stdout } = run({ 'a.test.js': hang, 'b.test.js': GOOD });
  assert.match(stdout, 'past its deadline');
  assert.is(last, '1 passed, 1 failed');
});

test('a file that ends its tests but not its process is a failure', () => {
  const open = `${GOOD}export const deadlineMs = 1_500;\nsetInterval(() => {}, 1000);\n`;
  const { last, stdout } = run({ 'a.test.js': open });
  assert.match(stdout, 'keeps the process alive');
  assert.is(last, '1 passed, 1 failed');
});

test('a process that a passing file leaves behind is ended with it', () => {
  const leaves = `import { spawn } from 'node:child_process';
${HEAD}t('leaves one behind', () => {
  spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' }).unref();
});
t.run();
`;
  assert.is(run({ 'a.test.js': leaves }).last, '1 passed, 0 failed');
});

test('a skip is counted with its reason; a skip without one is a failure', () => {
  const why = `${GOOD.replace('t.run', "t.skip('x');\nconsole.log('SKIP x: no filesystem here');\nt.run")}`;
  const told = run({ 'a.test.js': why });
  assert.is(told.last, '1 passed, 0 failed');
  assert.match(told.stdout, 'skipped: x: no filesystem here');
  assert.match(told.stdout, '1 skipped, each with its reason above');
  const untold = run({ 'a.test.js': GOOD.replace('t.run', "t.skip('x');\nt.run") });
  assert.is(untold.last, '1 passed, 1 failed');
});

test('--faults runs the fault suites alone, at full scale; otherwise the scale is small', () => {
  const says = (name: string) =>
    `${HEAD}t('${name}', () => {
  if (process.env.PALYRA_TEST_SCALE !== '${name}') throw new Error(process.env.PALYRA_TEST_SCALE);
});
t.run();
`;
  const ordinary = { 'a.test.js': says('small') };
  assert.is(
    run({ ...ordinary, 'faults/f.test.js': says('full') }, '--faults').last,
    '1 passed, 0 failed',
  );
  assert.is(run({ ...ordinary, 'faults/f.test.js': says('small') }).last, '2 passed, 0 failed');
});

test('arguments select files, and selecting none is a failure', () => {
  const files = { 'a.test.js': GOOD, 'b.test.js': GOOD };
  assert.is(run(files, 'b.test').last, '1 passed, 0 failed');
  assert.is(run(files, 'nothing-like-it').status, 1);
});

test.run();
