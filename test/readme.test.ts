/** What README says a stranger can type works as it stands there. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type GatewayProcess, startGateway, withStateRoot } from './support/gateway-process.ts';
import { type Installed, packPackage } from './support/packed-package.ts';
import { until } from './support/within.ts';

const DIST = fileURLToPath(new URL('..', import.meta.url));
const ROOT = dirname(DIST.replace(/\/$/, ''));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const LINE_MS = 30_000;
/** A start that builds first. */
const PREPARED_MS = 60_000;

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
  const storing = packed.install();
  const printed = examples.map((source, i) =>
    runModule(source.includes('runtime/store') ? storing : host, `runtime-${i}`, source),
  );
  const [inline, threads, kept, reminded, bundle] = printed.map(
    ({ stdout, stderr }) => stdout.trim() || stderr,
  );
  assert.is(inline, '2');
  assert.is(threads, 'back as incarnation 2');
  assert.is(kept, 'first 1\nsecond 2');
  assert.is(reminded, 'time for tea');
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

test('the connector example takes its greeting in and prints the answer', async () => {
  const host = packed.install();
  const [kind = '', gateway = ''] = blocks('Embed the gateway', 'ts').map(
    (source) => transformSync(source, { loader: 'ts', target: 'es2022' }).code,
  );
  host.write('console.js', kind);
  const listen = "config: { http: { listen: '127.0.0.1:0' },";
  const file = host.write('host.js', gateway.replace('config: {', listen));
  const child = spawn(process.execPath, [file], { cwd: host.directory });
  const told = heardOf(child);
  try {
    await until('the answer', () => told.text.includes('answer: Hello') || told.hasEnded, LINE_MS);
    child.kill('SIGINT');
    await until('it ends', () => told.hasEnded, LINE_MS);
    assert.match(told.text, /answer: Hello\n[\s\S]*code: 0, cause: 'stopped'/);
  } finally {
    child.kill('SIGKILL');
  }
});

test('what a stranger types into two terminals of a fresh clone works as it is printed', async () => {
  const clone = makeClone();
  const [start] = blocks('Try it', 'sh');
  const [ask = ''] = blocks('Try it', 'sh').slice(1);
  const [serve] = blocks('Operate channels', 'sh');
  const demo = openTerminal(clone, start);
  try {
    await demo.isReady();
    const [first, ...rest] = await typeAll(clone, ask);
    assert.is(wordsOf(first?.output ?? ''), wordsOf(block('Try it', 'text')));
    assert.equal(rest, []);
    await demo.interrupt();
  } finally {
    demo.kill();
  }
  writeFileSync(join(clone, 'palyra.toml'), block('Operate channels', 'toml'));
  const own = openTerminal(clone, serve);
  try {
    await own.isReady();
    const commands = inlineCommands();
    assert.ok(commands.length >= 10, `${commands.length} commands found`);
    const [exported = ''] = ask.split('\n');
    const typed = await typeAll(clone, [exported, ...commands].join('\n'));
    const tried = typed.find(({ command }) => command.includes('webhooks test orders'));
    assert.match(tried?.output ?? '', /^reply +Hello\ndelivered +echo:default 42/m);
    await own.interrupt();
  } finally {
    own.kill();
    rmSync(clone, { recursive: true, force: true });
  }
});

test('the command that the demo prints can be pasted from a log line, whatever its state root is called', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'palyra-readme-'));
  const stateRoot = join(parent, 'it is "my" $HOME\'s');
  mkdirSync(stateRoot);
  const gateway = await startGateway({ stateRoot, env: { PALYRA_HTTP: '127.0.0.1:0' } });
  try {
    const command = await printedCommand(gateway);
    const { code, output, errors } = await shell(command, { cwd: process.cwd() });
    assert.is(code, 0, output + errors);
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

/** The commands within the text under `Operate channels`. */
function inlineCommands(): readonly string[] {
  const [section = ''] = README.slice(README.indexOf('## Operate channels')).split('\n## ');
  return [...section.matchAll(/`(npx palyra [^`]+)`/g)].map(([, command = '']) => command);
}

/** A folder that has what a clone has once it is prepared, and no state. */
function makeClone(): string {
  const clone = mkdtempSync(join(tmpdir(), 'palyra-clone-'));
  for (const name of ['.ci', 'dist', 'node_modules', 'package.json']) {
    symlinkSync(join(ROOT, name), join(clone, name));
  }
  return clone;
}

/** Nothing of this process's settings, and no hold of the usual port. */
const STRANGER = {
  PATH: process.env.PATH ?? '',
  HOME: process.env.HOME ?? '',
  PALYRA_HTTP: '127.0.0.1:0',
};

interface Typed {
  readonly command: string;
  readonly output: string;
}

/** Types the lines into one shell, each of which must succeed; gives what each `npx palyra` printed on stdout. */
async function typeAll(cwd: string, lines: string): Promise<readonly Typed[]> {
  const commands = lines.trim().split('\n');
  const script = commands.map((command) => `${command}\necho "== $?"`).join('\n');
  const { output, errors } = await shell(script, { cwd, deadlineMs: 120_000 });
  const parts = output.split(/^== (\d+)\n/m);
  return commands.flatMap((command, i) => {
    assert.is(parts[2 * i + 1], '0', `${command}\n${output}${errors}`);
    return command.startsWith('npx ') ? [{ command, output: parts[2 * i] ?? '' }] : [];
  });
}

/** What a process says, and whether it has ended. */
function heardOf(child: ChildProcessWithoutNullStreams) {
  const heard = { text: '', hasEnded: false };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      heard.text += text.toString();
    });
  }
  child.once('close', () => {
    heard.hasEnded = true;
  });
  return heard;
}

/** A shell whose last command goes on until Ctrl-C; `gateway` is the process that said it is ready. */
function openTerminal(cwd: string, lines = '') {
  const child = spawn('sh', ['-c', lines], { cwd, env: STRANGER });
  const heard = heardOf(child);
  let gateway = 0;
  return {
    async isReady(): Promise<void> {
      const readyLine = () => /^ready (\{.*\})$/m.exec(heard.text)?.[1];
      await until('it is ready', () => readyLine() !== undefined || heard.hasEnded, PREPARED_MS);
      assert.ok(readyLine(), heard.text);
      gateway = JSON.parse(readyLine() ?? '').pid;
    },
    async interrupt(): Promise<void> {
      process.kill(gateway, 'SIGINT');
      await until('it ends', () => heard.hasEnded, LINE_MS);
    },
    kill(): void {
      if (heard.hasEnded) return;
      if (gateway !== 0) process.kill(gateway, 'SIGKILL');
      child.kill('SIGKILL');
    },
  };
}

function shell(
  command: string,
  { cwd = ROOT, deadlineMs = LINE_MS } = {},
): Promise<{ readonly code: number | null; readonly output: string; readonly errors: string }> {
  return new Promise((resolve) => {
    const child = spawn('sh', ['-c', command], { cwd, timeout: deadlineMs, env: STRANGER });
    let output = '';
    let errors = '';
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
    });
    child.stderr.on('data', (text: Buffer) => {
      errors += text.toString();
    });
    child.once('close', (code) => resolve({ code, output, errors }));
  });
}

test.run();
