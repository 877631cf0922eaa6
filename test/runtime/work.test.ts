/** The signal of long work, looked at early, late or never: runtime/SEMANTICS.md L5. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defineActor, type WorkOptions } from '../../runtime/actor.ts';
import { child, refTo } from '../../runtime/index.ts';
import { startTree } from './support/system.ts';

interface WorkProtocol {
  begin(nothing: null): number;
  crash(nothing: null): null;
}

interface Own {
  done(nothing: null): void;
}

/** What each piece of work was given, and how it is called off. */
const begun: { readonly options: WorkOptions; readonly callOff: () => void }[] = [];

export const workActor = defineActor<WorkProtocol, Own, null, null, unknown>({
  module: import.meta.url,
  export: 'workActor',
  name: 'work',
  mailbox: { limitMessages: 8, overflow: 'reject' },
  start: () => null,
  receive: {
    begin(_state, _nothing, self) {
      const given: WorkOptions[] = [];
      const work = (options: WorkOptions) => {
        given.push(options);
        return new Promise<null>(() => undefined);
      };
      const callOff = self.run(work, 'done', () => null);
      begun.push(...given.map((options) => ({ options, callOff })));
      return begun.length;
    },
    crash() {
      throw new Error('told to');
    },
    done: () => undefined,
  },
});

const test = suite('work');

test('L5 its signal aborts with its incarnation, or when it is called off, whenever it is looked at', async () => {
  const work = child(workActor, { id: 'work', args: null, placement: 'main' });
  const { system } = await startTree('inline', [work]);
  const ref = refTo<WorkProtocol>('t', 'root/work');
  const begin = async () => {
    const count = await system.ask(ref, 'begin', null, { inMs: 2_000 });
    const one = begun[count - 1];
    if (one === undefined) throw new Error('the work was not begun at once');
    return one;
  };
  const [early, late, offEarly, offLate] = [
    await begin(),
    await begin(),
    await begin(),
    await begin(),
  ];
  assert.not.ok(early.options.signal.aborted);
  assert.not.ok(offEarly.options.signal.aborted);
  assert.is(early.options.signal, early.options.signal);
  offEarly.callOff();
  offLate.callOff();
  for (const { options } of [offEarly, offLate]) {
    assert.ok(options.signal.aborted);
    assert.is(options.signal.reason.name, 'AbortError');
  }
  assert.not.ok(early.options.signal.aborted, 'the others go on');
  await system.ask(ref, 'crash', null, { inMs: 2_000 }).catch(() => undefined);
  for (const { options } of [early, late]) assert.ok(options.signal.aborted);
  const next = await begin();
  assert.not.ok(next.options.signal.aborted, 'the next incarnation has its own');
  await system.stop({ deadlineMs: 2_000 });
  assert.ok(next.options.signal.aborted);
});

test.run();
