/** What README says a stranger can type works as it stands there. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type GatewayProcess, startGateway, withStateRoot } from './support/gateway-process.ts';
import { type Installed, packPackage } from './support/packed-package.ts';
import { until } from './support/within.ts';

const DIST = fileURLToPath(new URL('..', import.meta.url));
const ROOT = dirname(DIST.replace(/\/$/, ''));
const MAIN = join(DIST, 'cli/main.js');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const LINE_MS = 30_000;

/** The fenced blocks of a language under a heading. */
function blocks(heading: string, language: string): readonly string[] {
  const [section = ''] = README.slice(README.indexOf(`## ${heading}`) + 3).split('\n## ');
  const fence = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g');
  return [...section.matchAll(fence)].map(([, text = '']) => text);
}

function block(heading: string, language: string): string {
  const [found] = blocks(heading, language);
  assert.ok(found, `README has a ${language} block under ${heading}`);
  return found ?? '';
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return spawnSync(process.execPath, [...args], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: LINE_MS,
    env: { ...process.env, ...env },
  });
}

const packed = packPackage();
const test = suite('README');
test.after(() => packed.remove());

/** Runs a module where the package is installed from its tarball. */
function runModule(host: Installed, name: string, source: string) {
  host.write(`${name}.js`, source);
  return host.run(`${name}.js`);
}

test('the runtime examples run and print what their comments say, and are short', () => {
  const examples = blocks('Embed the runtime', 'js');
  const host = packed.install(['comlink', 'msgpackr']);
  const printed = examples.map((source, i) => runModule(host, `runtime-${i}`, source));
  const [inline, threads, bundle] = printed.map(({ stdout, stderr }) => stdout.trim() || stderr);
  assert.is(inline, '2');
  assert.is(threads, 'back as incarnation 2');
  assert.is(bundle, 'on main\non a thread');
  for (const source of examples) assert.ok(source.trimEnd().split('\n').length <= 25, source);
});

test('the bundling example, built by its command, runs as one file without any package beside it', () => {
  const host = packed.install(['comlink', 'msgpackr']);
  const elsewhere = mkdtempSync(join(tmpdir(), 'palyra-bundle-'));
  try {
    host.write('host.js', blocks('Embed the runtime', 'js').at(-1) ?? '');
    const [, tool = '', ...flags] = block('Embed the runtime', 'sh').trim().split(' ');
    const built = spawnSync(join(ROOT, 'node_modules/.bin', tool), flags, {
      cwd: host.directory,
      encoding: 'utf8',
      timeout: LINE_MS,
    });
    assert.is(built.status, 0, built.stderr);
    const file = join(elsewhere, 'host.mjs');
    renameSync(join(host.directory, 'host.mjs'), file);
    const { stdout, stderr } = run([file]);
    assert.is(stdout.trim(), 'on main\non a thread', stderr);
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
});

test('the gateway example starts, listens and stops', () => {
  const stateRoot = mkdtempSync(join(tmpdir(), 'palyra-readme-'));
  const example = block('Embed the gateway', 'js').replace("'./state'", JSON.stringify(stateRoot));
  const { stdout, stderr } = runModule(packed.install(), 'gateway', example);
  rmSync(stateRoot, { recursive: true, force: true });
  assert.match(stdout, /listening on http:\/\/127\.0\.0\.1:\d+/, stderr);
  assert.match(stdout, /code: 0, cause: 'stopped'/);
});

test('the configuration example is valid', () => {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-readme-'));
  const file = join(directory, 'palyra.toml');
  writeFileSync(file, block('Operate channels', 'toml'));
  const { status, stderr } = run([MAIN, 'config', 'validate', '--config', file]);
  rmSync(directory, { recursive: true, force: true });
  assert.is(status, 0, stderr);
});

test('the command that the first page prints sends a message and shows its reply', async () => {
  const line = README.split('\n').find((text) =>
    text.startsWith('node dist/cli/main.js webhooks test'),
  );
  assert.ok(line);
  const stateRoot = mkdtempSync(join(tmpdir(), 'palyra-readme-'));
  const gateway = await startGateway({ stateRoot, env: { PALYRA_HTTP: '127.0.0.1:0' } });
  try {
    const command = (line ?? '')
      .replace('dist/cli/main.js', JSON.stringify(MAIN))
      .replace('./.palyra', JSON.stringify(stateRoot));
    const { code, output } = await shell(command);
    assert.is(code, 0, output);
    assert.is(wordsOf(output), wordsOf(block('Try it', 'text')));
  } finally {
    await gateway.stop();
    rmSync(stateRoot, { recursive: true, force: true });
  }
});

test('every command of the table exists', () => {
  const commands = new Set(
    [...README.matchAll(/`palyra ((?:[a-z]+ ?)+)/g)].map(([, words = '']) => words.trim()),
  );
  assert.ok(commands.size >= 10, `${commands.size} commands found`);
  for (const command of commands) {
    const words = command.split(' ').slice(0, 2);
    const { status, stdout, stderr } = run([MAIN, ...words, '--help']);
    assert.is(status, 0, `palyra ${words.join(' ')}: ${stderr}`);
    assert.match(stdout, new RegExp(`Usage: palyra ${words[0]}`));
  }
});

test('the command that the demo prints can be pasted from a log line, whatever its state root is called', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'palyra-readme-'));
  const stateRoot = join(parent, 'it is "my" $HOME\'s');
  mkdirSync(stateRoot);
  const gateway = await startGateway({ stateRoot, env: { PALYRA_HTTP: '127.0.0.1:0' } });
  try {
    const command = await printedCommand(gateway);
    const { code, output } = await shell(command, process.cwd());
    assert.is(code, 0, output);
    assert.is(wordsOf(output), wordsOf(block('Try it', 'text')));
  } finally {
    await gateway.stop();
    rmSync(parent, { recursive: true, force: true });
  }
  await withStateRoot(async (plain) => {
    const other = await startGateway({ stateRoot: plain, env: { PALYRA_HTTP: '127.0.0.1:0' } });
    const command = await printedCommand(other);
    await other.stop();
    assert.not.match(command, /["'\\]/);
  });
});

/** What the demo tells to type, where stderr is no terminal. */
async function printedCommand({ log }: GatewayProcess): Promise<string> {
  const line = await until('the command is printed', () =>
    log.find((text) => text.includes('webhooks test demo')),
  );
  return (JSON.parse(line) as { command: string }).command;
}

/** What a picture shows; its ids differ from run to run. */
function wordsOf(text: string): string {
  return text.trim().replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, 'ID');
}

function shell(
  command: string,
  cwd = ROOT,
): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve) => {
    const child = spawn('sh', ['-c', command], { cwd, timeout: LINE_MS });
    let output = '';
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
    });
    child.stderr.on('data', (text: Buffer) => {
      output += text.toString();
    });
    child.once('exit', (code) => resolve({ code, output }));
  });
}

test.run();
