/** The table against XState's own `transition()`: the same value, context and actions, for machines of every allowed shape. */
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type AnyStateMachine,
  assign,
  createMachine,
  emit,
  enqueueActions,
  fromPromise,
  log,
  raise,
  sendTo,
  setup,
  spawnChild,
  transition,
} from 'xstate';
import { createMachineTable, MachineError } from '../../../runtime/machine/index.ts';

const test = suite('runtime/machine: table');

type Event = { readonly type: string; readonly by?: number };

const turnstile = setup({
  types: {} as { context: { coins: number }; events: Event },
  actions: { unlock: () => undefined, alarm: (_, _params: { loud: boolean }) => undefined },
  guards: { paidUp: ({ context }) => context.coins >= 2 },
}).createMachine({
  id: 'turnstile',
  context: { coins: 0 },
  initial: 'locked',
  states: {
    locked: {
      on: {
        coin: [
          { guard: 'paidUp', target: 'open', actions: 'unlock' },
          { actions: assign({ coins: ({ context, event }) => context.coins + (event.by ?? 1) }) },
        ],
        push: { actions: { type: 'alarm', params: { loud: true } } },
      },
    },
    open: { entry: assign({ coins: 0 }), on: { push: 'locked', stop: 'broken' } },
    broken: { type: 'final', entry: 'unlock' },
  },
});

const nested = setup({
  types: {} as { context: { steps: readonly string[] }; events: Event },
  actions: {
    note: assign({ steps: ({ context, event }) => [...context.steps, event.type].slice(-5) }),
    told: () => undefined,
  },
}).createMachine({
  id: 'nested',
  context: { steps: [] },
  initial: 'work',
  states: {
    work: {
      initial: 'a',
      entry: 'told',
      on: { coin: { target: '.b', actions: 'note' }, stop: 'rest' },
      states: {
        a: { on: { push: { target: 'b', actions: ['note', raise({ type: 'echo' })] } } },
        b: {
          on: { echo: { actions: 'told' }, push: 'end' },
          always: { guard: ({ context }) => context.steps.length === 5, target: 'end' },
        },
        end: { type: 'final' },
      },
      onDone: { target: 'rest', actions: 'told' },
    },
    rest: {
      entry: assign({ steps: [] }),
      exit: enqueueActions(({ enqueue, check }) => {
        if (check(({ context }) => context.steps.length === 0)) enqueue('told');
      }),
      on: { coin: 'work' },
    },
  },
});

const parallel = createMachine({
  id: 'parallel',
  context: { n: 0 },
  type: 'parallel',
  states: {
    left: {
      initial: 'x',
      states: {
        x: { on: { coin: { target: 'y', actions: 'moved' } } },
        y: { on: { coin: 'x', stop: 'z' } },
        z: { type: 'final' },
      },
    },
    right: {
      initial: 'x',
      states: {
        x: {
          on: { push: 'y', coin: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
        },
        y: { on: { stop: 'z', push: { target: 'y', reenter: true, actions: 'again' } } },
        z: { type: 'final' },
      },
    },
  },
});

const events = fc.array(
  fc.record({
    type: fc.constantFrom('coin', 'push', 'stop', 'unheard of'),
    by: fc.integer({ min: 0, max: 2 }),
  }),
  { minLength: 5, maxLength: 30, size: 'max' },
);

for (const machine of [turnstile, nested, parallel] as unknown as AnyStateMachine[]) {
  test(`${machine.id}: any run of events gives what transition() gives, through rows in msgpack`, () => {
    const codec = new Packr({ useRecords: false });
    const table = createMachineTable(machine);
    let changes = 0;
    fc.assert(
      fc.property(events, (run) => {
        let ours: ReturnType<typeof table.next> = table.initial();
        for (const event of run) {
          const { value, context } = ours;
          const before = machine.resolveState({ value, context });
          const row = codec.unpack(codec.pack({ value, context }));
          const [after, executable] = transition(machine, before, event);
          ours = table.next(row, event);
          if (ours.changed) changes += 1;
          assert.equal(ours.value, after.value);
          assert.equal(ours.context, after.context);
          assert.is(ours.changed, after !== before);
          assert.is(ours.done, after.status === 'done');
          const actions = executable.filter(({ type }) => !type.startsWith('xstate.'));
          assert.equal(
            ours.actions,
            actions.map(({ type, params }) => ({ type, params })),
          );
        }
      }),
      { verbose: 1 },
    );
    assert.ok(changes > 100, 'the runs must reach transitions');
  });
}

test('the context factory runs once a start, not once a transition', () => {
  let made = 0;
  const machine = createMachine({
    context: ({ input }: { input: { n: number } | undefined }) => {
      made += 1;
      return { n: input?.n ?? 0 };
    },
    initial: 'a',
    states: { a: { on: { go: 'b' } }, b: { on: { go: 'a' } } },
  });
  const table = createMachineTable(machine);
  const start = table.initial({ n: 3 } as never);
  assert.equal(start.context, { n: 3 });
  made = 0;
  let state = start;
  for (let i = 0; i < 10; i += 1) state = table.next(state, { type: 'go' });
  assert.is(made, 0);
  assert.is(state.value, 'a');
  assert.equal(state.context, { n: 3 });
});

test('a table keeps nothing between calls: the same row and event give the same step', () => {
  const table = createMachineTable(turnstile);
  const row = { value: 'locked' as const, context: { coins: 1 } };
  const first = table.next(row, { type: 'coin' });
  table.next({ value: 'locked', context: { coins: 7 } }, { type: 'coin' });
  assert.equal(table.next(row, { type: 'coin' }), first);
  assert.equal(row, { value: 'locked', context: { coins: 1 } });
});

const impure: Record<string, () => AnyStateMachine> = {
  after: () => createMachine({ initial: 'a', states: { a: { after: { 10: 'b' } }, b: {} } }),
  invoke: () => createMachine({ invoke: { src: fromPromise(async () => 1) } }),
  'actors in setup': () =>
    setup({ actors: { job: fromPromise(async () => 1) } }).createMachine({}) as AnyStateMachine,
  'delays in setup': () => setup({ delays: { soon: 5 } }).createMachine({}),
  history: () =>
    createMachine({ initial: 'a', states: { a: {}, h: { type: 'history' } } }) as AnyStateMachine,
  'spawnChild on entry': () => createMachine({ entry: spawnChild(fromPromise(async () => 1)) }),
  sendTo: () =>
    createMachine({ on: { go: { actions: sendTo(({ self }) => self, { type: 'x' }) } } }),
  log: () => createMachine({ exit: log('bye') }),
  emit: () => setup({ actions: { shout: emit({ type: 'x' }) } }).createMachine({}),
  'delayed raise': () => createMachine({ entry: raise({ type: 'x' }, { delay: 10 }) }),
};

for (const [what, make] of Object.entries(impure)) {
  test(`a machine with ${what} is refused when its table is made`, () => {
    assert.throws(
      () => createMachineTable(make()),
      (error: unknown) => error instanceof MachineError && error.code === 'bad_machine',
    );
  });
}

const hidden: Record<string, AnyStateMachine> = {
  'an enqueued delayed raise': createMachine({
    on: {
      go: { actions: enqueueActions(({ enqueue }) => enqueue.raise({ type: 'x' }, { delay: 1 })) },
    },
  }),
  'an actor spawned by an assigner': createMachine({
    context: {},
    on: {
      go: {
        actions: assign({
          kid: ({ spawn }) => spawn(fromPromise(async () => 1)) as unknown as string,
        }),
      },
    },
  }) as unknown as AnyStateMachine,
};

for (const [what, machine] of Object.entries(hidden)) {
  test(`${what} is refused when the transition shows it`, () => {
    const table = createMachineTable(machine);
    assert.throws(
      () => table.next(table.initial(), { type: 'go' }),
      (error: unknown) => error instanceof MachineError && error.code === 'bad_machine',
    );
  });
}

test('a row whose state the machine does not know is refused by code', () => {
  const table = createMachineTable(turnstile);
  assert.throws(
    () => table.next({ value: 'ajar' as never, context: { coins: 0 } }, { type: 'coin' }),
    (error: unknown) => error instanceof MachineError && error.code === 'bad_machine_state',
  );
});

test('a context factory that throws is a coded error with its cause', () => {
  const machine = createMachine({
    context: () => {
      throw new Error('no input');
    },
  });
  assert.throws(
    () => createMachineTable(machine).initial(),
    (error: unknown) => error instanceof MachineError && error.code === 'bad_machine_input',
  );
});

test.run();
