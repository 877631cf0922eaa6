/** Holds the table of commands, run in this process: what exists, which flags it takes, how a refusal reads. */
import type { Command } from 'commander';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildProgram } from '../../cli/program.ts';
import { runInProcess } from './support/run-in-process.ts';

const test = suite('cli: program');

const COMMANDS = [
  'backup',
  'channels discard',
  'channels list',
  'channels logs',
  'channels replay',
  'channels status',
  'channels test',
  'config schema',
  'config validate',
  'journal verify',
  'runs get',
  'serve',
  'status',
  'vault list',
  'vault put',
  'webhooks add',
  'webhooks list',
  'webhooks test',
];

const run = (...args: readonly string[]) => runInProcess(args);

function leavesOf(command: Command, path: readonly string[]): (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[path.join(' '), command]];
  return command.commands.flatMap((child) => leavesOf(child, [...path, child.name()]));
}

const terminal = {
  env: {},
  isInteractive: false,
  out: () => undefined,
  err: () => undefined,
  readSecret: async () => '',
};
const world = { terminal, self: 'palyra', finish: () => undefined };
const leaves = leavesOf(buildProgram(world, '1.2.3'), []);

test('the commands are those that are documented, each with a description', () => {
  assert.equal(leaves.map(([name]) => name).sort(), COMMANDS);
  for (const [name, command] of leaves) assert.ok(command.description().length > 10, name);
});

test('every command takes --json', () => {
  for (const [name, command] of leaves) {
    assert.ok(
      command.options.some(({ long }) => long === '--json'),
      name,
    );
  }
});

test('every command that talks to a gateway takes --url, --token-ref and --state-root', () => {
  const local = ['serve', 'config schema', 'config validate', 'journal verify'];
  for (const [name, command] of leaves.filter(([path]) => !local.includes(path))) {
    for (const flag of ['--url', '--token-ref', '--state-root']) {
      assert.ok(
        command.options.some(({ long }) => long === flag),
        `${name} ${flag}`,
      );
    }
  }
});

test('help of a group lists its commands and exits 0', async () => {
  for (const group of ['channels', 'webhooks', 'config', 'journal', 'runs']) {
    const { code, stdout } = await run(group, '--help');
    assert.is(code, 0);
    for (const name of COMMANDS.filter((path) => path.startsWith(`${group} `))) {
      assert.match(stdout, new RegExp(`^ {2}${name.split(' ')[1]}\\b`, 'm'));
    }
  }
});

test('an unknown flag or command is refused with the nearest known one', async () => {
  const flag = await run('serve', '--stat-root', 'x');
  assert.is(flag.code, 2);
  assert.match(flag.stderr, '--state-root');
  const deep = await run('channels', 'lst');
  assert.is(deep.code, 2);
  assert.match(deep.stderr, 'list');
  assert.is(deep.stdout, '');
});

test('a missing argument, a missing command, too many arguments and a number out of range are usage errors', async () => {
  const wrong = [
    ['runs', 'get'],
    ['channels'],
    [],
    ['status', 'extra'],
    ['webhooks', 'test', 'x'],
    ['channels', 'logs', '--limit', '0'],
    [
      'webhooks',
      'add',
      'x',
      '--reply-to',
      'echo:a',
      '--url',
      'http://127.0.0.1:1',
      '--token-ref',
      'file:/etc/hostname',
    ],
  ];
  for (const args of wrong) assert.is((await run(...args)).code, 2, args.join(' '));
});

test('an id of another form is a usage error that says the form', async () => {
  for (const [args, form] of [
    [['runs', 'get', 'xxx'], 'expected 26 letters and digits'],
    [['webhooks', 'add', 'A B'], 'expected up to 64 lower-case letters, digits'],
  ] as const) {
    const { code, stderr } = await run(...args);
    assert.is(code, 2);
    assert.match(stderr, form);
    assert.match(stderr, '\n  next: ');
  }
});

test('with --json a refusal is one line of JSON on stderr', async () => {
  const { code, stdout, stderr } = await run('status', '--json', '--state-root', '/nowhere');
  assert.is(code, 5);
  assert.is(stdout, '');
  const { error } = JSON.parse(stderr);
  assert.equal(Object.keys(error), ['code', 'exit', 'message', 'next']);
  assert.is(error.exit, 5);
});

test('without --json a refusal names its code and the next step', async () => {
  const { stderr } = await run('status', '--state-root', '/nowhere');
  assert.match(stderr, /^palyra: unreachable: .+\n {2}next: .*palyra serve/);
});

test.run();
