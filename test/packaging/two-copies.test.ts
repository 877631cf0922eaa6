/** Two copies of the package in one process, each with a system of its own: runtime/SEMANTICS.md Y1. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packPackage } from '../support/packed-package.ts';

/** An actor of the second copy, which asks somebody who is not there and looks at the error with its own copy's class. */
const OTHER = `
import { AskError, child, createSystem, defineActor, refTo, RuntimeError, supervisor } from 'palyra/runtime';
export * as second from 'palyra/runtime';
export const askerActor = defineActor({
  module: import.meta.url, export: 'askerActor', name: 'asker',
  mailbox: { limitMessages: 10, overflow: 'reject' },
  start: () => null,
  receive: {
    ping: () => 'pong',
    later: (_state, _nothing, self) => {
      const answer = self.defer();
      answer.resolve('answered later');
      return answer.promise;
    },
    ask: (_state, ref, self) =>
      self.ask(ref, 'ping', null, { inMs: 20_000 }).catch((error) => ({
        code: error.code, isAskError: error instanceof AskError, isRuntimeError: error instanceof RuntimeError,
      })),
  },
});
`;

const HOST = `
import * as first from 'palyra/runtime';
import { askerActor, second } from '../host-2/other.js';

const IN_20S = { inMs: 20_000 };
const codeOf = ({ code }) => code;
const limits = { strategy: 'one_for_one', intensity: 0, periodMs: 1_000 };

/** The system is of \`runner\`, all that it runs is made by \`maker\`. */
async function start(name, runner, maker, threads) {
  const asker = maker.child(askerActor, { id: 'asker', args: null });
  const team = maker.supervisor('team', { ...limits, children: [asker] }, 'pool');
  const root = maker.supervisor('root', { ...limits, children: [team] });
  const system = await runner.createSystem({ name, threads });
  await system.started(system.spawn(root));
  return { system, ref: runner.refTo(name, 'root/team/asker') };
}

export async function main(threads) {
  const one = await start('one', first, second, threads);
  const two = await start('two', second, first, threads);
  const unexported = { ...askerActor, export: 'nobody' };
  const spawned = two.system.spawn(first.child(unexported, { id: 'spawned', args: null }));
  const said = {
    pings: await Promise.all([one, two].map(({ system, ref }) => system.ask(ref, 'ping', null, IN_20S))),
    later: await one.system.ask(one.ref, 'later', null, IN_20S),
    spawned: await two.system.ask(spawned, 'ping', null, IN_20S),
    asked: await one.system.ask(spawned, 'ping', null, IN_20S).catch(codeOf),
    told: one.system.tell(spawned, 'ping', null),
    within: await one.system.ask(one.ref, 'ask', spawned, IN_20S),
  };
  const thrown = await first.createSystem({ name: 'No Name', threads }).catch((error) => error);
  class Own extends second.RuntimeError {}
  const errors = [
    thrown instanceof second.RuntimeError,
    thrown instanceof second.AskError,
    thrown instanceof Own,
    new Own('bad_option', '') instanceof first.RuntimeError,
    new Own('bad_option', '') instanceof Own,
    new Error('bad_option') instanceof first.RuntimeError,
    null instanceof first.RuntimeError,
  ];
  await Promise.all([one.system.stop(), two.system.stop()]);
  console.log(JSON.stringify({ copies: first !== second, ...said, errors }));
}
`;

const packed = packPackage();
const test = suite('two copies of the package');
test.after(() => packed.remove());

const host = packed.install(['comlink', 'msgpackr']);
const other = packed.install(['comlink', 'msgpackr']);
host.write('main.js', HOST);
other.write('other.js', OTHER);

for (const [mode, threads] of [
  ['inline', "'inline'"],
  ['threads', '{ pool: 1 }'],
] as const) {
  test(`Y1 each runs its own system with what the other made, and knows its errors, ${mode}`, () => {
    host.write('host.js', `import { main } from './main.js';\nawait main(${threads});\n`);
    const { stdout, stderr } = host.run('host.js');
    assert.ok(stdout.startsWith('{'), stderr);
    assert.equal(JSON.parse(stdout), {
      copies: true,
      pings: ['pong', 'pong'],
      later: 'answered later',
      spawned: 'pong',
      asked: 'actor_dead',
      told: false,
      within: { code: 'actor_dead', isAskError: true, isRuntimeError: false },
      errors: [true, false, false, true, true, false, false],
    });
  });
}

test.run();
