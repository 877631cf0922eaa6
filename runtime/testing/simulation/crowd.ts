/** The program of the simulator: actors that tell, ask, watch, spawn and fail as they are bidden, each with a state machine. */
import {
  type ActorDefinition,
  type ActorRef,
  child,
  type Deferred,
  defineActor,
  type Mailbox,
  type Replied,
  type Self,
} from '../../actor.ts';
import type { ChildSpec, Restart, Supervision } from '../../child-spec.ts';
import { codeOf } from '../../errors.ts';
import { pathOf } from '../../kernel/ref.ts';
import { assign, createMachineTable, type MachineState, setup } from '../../machine/index.ts';
import type { AnyDefinition } from '../../system.ts';
import type { CodeName } from '../../thread/spare.ts';
import { transfer } from '../../transfer.ts';
import type { Books } from './books.ts';
import { bornAs, type Life } from './lives.ts';

export const DEEDS = [
  'tell',
  'ask',
  'wait',
  'ready',
  'watch',
  'spawn',
  'stop-child',
  'clear',
  'timer',
  'crash',
  'leave',
  'die',
] as const;
export type Deed = (typeof DEEDS)[number];

/** What the driver bids an actor do; `id` names what is new. */
export interface Command {
  readonly deed: Deed;
  readonly to: string;
  readonly count: number;
  readonly ms: number;
  readonly id: number;
}

export const REPLIES = ['now', 'late', 'never', 'crash'] as const;

interface Envelope {
  readonly from: string;
  readonly number: number;
}

export interface CrowdProtocol {
  act(bidding: Envelope & { readonly command: Command }): void;
  /** With `back` the receiver tells one to that ref, as it was given to it. */
  note(
    message: Envelope & {
      readonly back: string;
      readonly text: string;
      /** Of its number, moved with the message. */
      readonly memory: Uint8Array | null;
    },
  ): void;
  query(
    message: Envelope & {
      readonly id: number;
      readonly reply: (typeof REPLIES)[number];
      readonly ms: number;
      readonly thread: string;
      readonly deadlineMs: number;
    },
  ): number;
}

interface Own {
  timed(nothing: null): void;
  late(about: { readonly id: number }): void;
  asked(replied: Replied<number, number>): void;
}

export interface CrowdArgs {
  readonly supervision: Supervision | undefined;
  /** What it spawns. */
  readonly spawns: LeafKind;
}

/** What a thread gives its actors. */
export interface CrowdDeps {
  readonly books: Books;
  readonly thread: string;
  /** Whether the thread is no more, and what its code still does happens nowhere. */
  isOver(): boolean;
  /** The thread ends in this very message. */
  die(): void;
}

interface State {
  readonly deps: CrowdDeps;
  readonly life: Life;
  readonly spawns: LeafKind;
  machine: MachineState<Phase, { readonly count: number }>;
  readonly late: Map<number, Deferred<number>>;
}

type Phase = 'calm' | 'busy';
type CrowdSelf = Self<CrowdProtocol & Own>;

const phases = setup({
  types: {
    context: {} as { readonly count: number },
    events: {} as { readonly type: 'work' },
  },
}).createMachine({
  id: 'crowd',
  initial: 'calm',
  context: { count: 0 },
  states: {
    calm: { on: { work: 'busy' } },
    busy: {
      on: {
        work: { target: 'calm', actions: assign({ count: ({ context }) => context.count + 1 }) },
      },
    },
  },
});
const machine = createMachineTable(phases);
const { value: FIRST, context: NOTHING } = machine.initial();

const MODULE = 'palyra/testing/crowd';

function member(
  name: string,
  mailbox: Mailbox,
): ActorDefinition<CrowdProtocol, Own, CrowdArgs, State, CrowdDeps> {
  return defineActor<CrowdProtocol, Own, CrowdArgs, State, CrowdDeps>({
    module: MODULE,
    export: name,
    name,
    mailbox,
    supervise: ({ supervision }) => supervision ?? { strategy: 'one_for_one', ...ENDLESS },
    start(self, { supervision, spawns }, deps) {
      const life = bornAs({
        path: pathOf(self.ref.address),
        incarnation: self.incarnation,
        thread: deps.thread,
        strategy: supervision?.strategy ?? 'one_for_one',
        limit: supervision,
      });
      if (!deps.isOver()) deps.books.started(life);
      return { deps, life, spawns, machine: { value: FIRST, context: NOTHING }, late: new Map() };
    },
    receive: {
      act(state, { from, number, command }, self) {
        if (take(state, self, from, number)) return act(state, command, self);
      },
      note(state, { from, number, back, memory }, self) {
        if (!take(state, self, from, number)) return;
        if (memory !== null && !isWhole(memory, number))
          state.deps.books.fail('memory_moves', `${from} → ${state.life.path}: ${number}`);
        if (back !== '') tellNote(state, self, { address: back }, '');
      },
      query(state, { from, number, id, reply, ms, thread, deadlineMs }, self) {
        const { deps, life } = state;
        if (!take(state, self, from, number)) return id;
        if (thread === deps.thread && deps.books.nowMs >= deadlineMs)
          deps.books.fail('expired_ask_handled', `${life.path} handled ask ${id} at its deadline`);
        if (reply === 'now') return id;
        if (reply === 'crash') return crash(state);
        const later = self.defer<number>();
        if (reply === 'late') {
          state.late.set(id, later);
          self.after(`late ${id}`, ms, 'late', { id });
        }
        return later.promise;
      },
      timed: (state, _nothing, self) => work(state, self),
      late(state, { id }, self) {
        work(state, self);
        state.late.get(id)?.resolve(id);
        state.late.delete(id);
      },
      asked(state, { about, outcome }, self) {
        work(state, self);
        const ended = outcome.ok ? outcome.value : codeOf(outcome.error);
        if (!state.deps.isOver()) state.deps.books.askEnded(about, ended, false);
      },
    },
    down(state, { ref }) {
      if (!state.deps.isOver()) state.deps.books.down(state.life, pathOf(ref.address));
    },
    stop(state) {
      if (!state.deps.isOver()) state.deps.books.stopped(state.life);
    },
  });
}

const MEMORY_BYTES = 8;
const ENDLESS = { intensity: 1_000, periodMs: 1_000 };

/** Small mailboxes, so that they are full now and then, each with another way to overflow; a message has some 130 bytes. */
const LEAVES = {
  rejecting: member('rejecting', { limitMessages: 4, overflow: 'reject' }),
  forgetful: member('forgetful', { limitMessages: 4, limitBytes: 350, overflow: 'drop-oldest' }),
  silent: member('silent', { limitMessages: 4, limitBytes: 350, overflow: 'drop-newest' }),
} as const;
export type LeafKind = keyof typeof LEAVES;
export const LEAF_KINDS: readonly LeafKind[] = ['rejecting', 'forgetful', 'silent'];
const HUB = member('hub', { limitMessages: 64, overflow: 'reject' });
const CROWD = member('crowd', { limitMessages: 64, overflow: 'reject' });

export function leaf(id: string, kind: LeafKind, restart: Restart): ChildSpec<unknown, unknown> {
  const args: CrowdArgs = { supervision: undefined, spawns: kind };
  return child(LEAVES[kind], { id, restart, args }) as ChildSpec<unknown, unknown>;
}

export function hub(
  id: string,
  placement: ChildSpec<unknown, unknown>['placement'],
  supervision: Supervision,
  spawns: LeafKind,
): ChildSpec<unknown, unknown> {
  const args: CrowdArgs = { supervision, spawns };
  return child(HUB, { id, args, placement }) as ChildSpec<unknown, unknown>;
}

export function crowd(supervision: Supervision): ChildSpec<unknown, unknown> {
  const args: CrowdArgs = { supervision, spawns: 'silent' };
  return child(CROWD, { id: 'crowd', args }) as ChildSpec<unknown, unknown>;
}

/** From a spec's names to code, in a thread that was not given the code itself. */
export async function resolveCrowd(_module: string, name: string): Promise<AnyDefinition> {
  return name === 'hub' ? HUB : LEAVES[name as LeafKind];
}

/** One for all: a stack each time costs more than the crash. */
const BIDDEN = Object.assign(new Error('as it was bidden'), { code: 'bidden' });

/** What a worker may have to run. */
export const CROWD_CODE: readonly CodeName[] = [HUB, ...Object.values(LEAVES)];

/** False where the thread is no more. */
function take(state: State, self: CrowdSelf, from: string, number: number): boolean {
  if (state.deps.isOver()) return false;
  state.deps.books.handled(state.life, self.incarnation, from, number);
  work(state, self);
  return true;
}

/** One step of the machine, which has to be where its own count says. */
function work(state: State, self: CrowdSelf): void {
  const { deps, life } = state;
  if (deps.isOver()) return;
  const { value, context } = state.machine;
  const next = machine.next({ value, context }, { type: 'work' });
  const count = value === 'busy' ? context.count + 1 : context.count;
  if (next.value === value || next.context.count !== count)
    deps.books.fail('machine_state', `${life.path}: ${next.value} ${next.context.count}`);
  if (life.isOver || self.incarnation !== life.incarnation)
    deps.books.fail('handled_after_end', `${life.path}: incarnation ${self.incarnation} is over`);
  state.machine = { value: next.value, context: next.context };
}

function act(state: State, command: Command, self: CrowdSelf): void | Promise<void> {
  const { deps, life } = state;
  const { to, ms, id } = command;
  const ref: ActorRef<CrowdProtocol> = { address: to };
  switch (command.deed) {
    case 'tell':
      for (let i = 0; i < command.count; i += 1)
        tellNote(state, self, ref, i === 0 && id % 2 === 0 ? self.ref.address : '');
      return;
    case 'ask': {
      const asked = deps.books.asking(life, to, ms);
      self.request(ref, 'query', queryOf(state, command, asked), { inMs: ms }, 'asked', asked.id);
      return;
    }
    case 'wait': {
      deps.books.waits(life);
      const asked = deps.books.asking(life, to, ms);
      const ended = (outcome: number | string) => {
        if (!deps.isOver()) deps.books.askEnded(asked.id, outcome, true);
      };
      return self.ask(ref, 'query', queryOf(state, command, asked), { inMs: ms }).then(
        (value) => ended(value),
        (error: unknown) => ended(codeOf(error)),
      );
    }
    case 'ready': {
      const { id: asked } = deps.books.asking(life, to, ms);
      self.run(
        () => self.ready(ref, { inMs: ms }).then(() => asked),
        'asked',
        (outcome) => ({ about: asked, outcome }),
      );
      return;
    }
    case 'watch':
      deps.books.watching(life, to);
      self.watch(ref);
      return;
    case 'spawn':
      self.spawn(leaf(`d${id}`, state.spawns, id % 2 === 0 ? 'temporary' : 'transient'));
      return;
    case 'stop-child':
    case 'clear':
      for (const { id: name } of self.children().slice(command.deed === 'clear' ? 0 : -1)) {
        const told = deps.books.lives.get(`${life.path}/${name}`);
        if (told !== undefined) told.leaves = 'told';
        void self.stopChild(name);
      }
      return;
    case 'timer':
      self.after('timed', ms, 'timed', null);
      return;
    case 'crash':
      crash(state);
      return;
    case 'leave':
      life.leaves = 'itself';
      self.stop();
      return;
    case 'die':
      deps.die();
      throw new Error('its thread is gone');
  }
}

function queryOf(
  { deps, life }: State,
  { ms, id: choice }: Command,
  { id, number }: { readonly id: number; readonly number: number },
): Parameters<CrowdProtocol['query']>[0] {
  const reply = REPLIES[choice % REPLIES.length] ?? 'now';
  const deadlineMs = deps.books.nowMs + ms;
  return { from: life.path, number, id, reply, ms: ms / 2, thread: deps.thread, deadlineMs };
}

function tellNote(state: State, self: CrowdSelf, to: ActorRef<CrowdProtocol>, back: string): void {
  const { deps, life } = state;
  const target = pathOf(to.address);
  const number = deps.books.telling(life.path, target);
  const text = number % 3 === 0 ? 'ü'.repeat(number % 40) : '';
  const memory = number % 5 === 0 ? transfer(new Uint8Array(MEMORY_BYTES).fill(number)) : null;
  const isTaken = self.tell(to, 'note', { from: life.path, number, back, text, memory });
  deps.books.told(life.path, target, number, isTaken);
  if (memory !== null && !isTaken && !isWhole(memory, number))
    deps.books.fail('memory_moves', `${life.path} lost what ${target} refused`);
}

function isWhole(memory: Uint8Array, number: number): boolean {
  return memory.length === MEMORY_BYTES && memory.every((byte) => byte === (number & 0xff));
}

function crash({ deps, life }: State): never {
  if (!deps.isOver()) deps.books.crashing(life);
  throw BIDDEN;
}
