/** Actors for the kill storm: members, whose threads end, and witnesses, who stay and write down what they see of them. */
import { type Down, defineActor, type Replied, refTo, type Self } from '../../runtime/index.ts';
import { restingHeap } from '../support/at-rest.ts';

/** One of the messages that a sender numbers for each receiver, anew in each of its lives. */
export interface Counted {
  readonly from: string;
  readonly life: number;
  readonly to: string;
  readonly n: number;
}

export interface MemberProtocol {
  count(counted: Counted): void;
  echo(n: number): number;
  incarnation(nothing: null): number;
  /** It sends, or no longer. */
  load(isOn: boolean): boolean;
}

export interface WitnessProtocol extends MemberProtocol {
  watch(ids: readonly string[]): number;
  report(nothing: null): WitnessReport;
  /** Of its thread, at rest. */
  heap(nothing: null): number;
}

export interface WitnessReport {
  /** Of the numbers that members passed on. */
  readonly heard: number;
  readonly asked: number;
  /** The number of the oldest ask without an end; the next one's where all have ended. */
  readonly oldestOpen: number;
  /** How asks ended, and how often. */
  readonly ends: Readonly<Record<string, number>>;
  /** For each member: watches, and downs. */
  readonly watches: Readonly<Record<string, readonly [number, number]>>;
  readonly problems: readonly string[];
}

export interface StormArgs {
  readonly id: string;
  /** Whom it sends to. */
  readonly members: readonly string[];
}

interface Own {
  burst(nothing: null): void;
}

interface WitnessOwn extends Own {
  told(reply: Replied<number, number>): void;
}

const BURST_MS = 5;
const BURST_MESSAGES = 5;
const OPEN_ASKS = 40;
const PROBLEMS_KEPT = 10;
const MAILBOX = { limitMessages: 100_000, overflow: 'reject' } as const;
/** Longer than any wait of the storm: what ends an ask is not its deadline. */
const ASK_MS = 300_000;
const book = refTo<WitnessProtocol>('storm', 'root/near');

/** Numbers messages for each receiver in turn. */
class Sender {
  readonly id: string;
  readonly #refs: readonly (readonly [to: string, ref: ReturnType<typeof memberRef>])[];
  readonly #sent = new Map<string, number>();
  #turn = 0;
  isOn = true;

  constructor({ id, members }: StormArgs) {
    this.id = id;
    this.#refs = members.map((to) => [to, memberRef(to)]);
  }

  burst(self: Self<MemberProtocol & Own>): ReturnType<typeof memberRef> | undefined {
    self.after('burst', BURST_MS, 'burst', null);
    this.#turn += 1;
    const next = this.#refs[this.#turn % this.#refs.length];
    if (!this.isOn || next === undefined) return undefined;
    const [to, ref] = next;
    const life = self.incarnation;
    for (let i = 0; i < BURST_MESSAGES; i += 1) {
      const n = (this.#sent.get(to) ?? 0) + 1;
      this.#sent.set(to, n);
      self.tell(ref, 'count', { from: this.id, life, to, n });
    }
    return ref;
  }
}

export function memberRef(id: string) {
  return refTo<MemberProtocol>('storm', `root/${id}`);
}

const COMMON = {
  echo: (_state: unknown, n: number) => n,
  incarnation: (_state: unknown, _nothing: null, self: Self<MemberProtocol>) => self.incarnation,
  load(state: { readonly sender: Sender }, isOn: boolean) {
    state.sender.isOn = isOn;
    return isOn;
  },
};

export const memberActor = defineActor<
  MemberProtocol,
  Own,
  StormArgs,
  { readonly sender: Sender },
  unknown
>({
  module: import.meta.url,
  export: 'memberActor',
  name: 'member',
  mailbox: MAILBOX,
  start(self, args) {
    self.after('burst', BURST_MS, 'burst', null);
    return { sender: new Sender(args) };
  },
  receive: {
    ...COMMON,
    count(_state, counted, self) {
      self.tell(book, 'count', counted);
    },
    burst({ sender }, _nothing, self) {
      sender.burst(self);
    },
  },
});

interface WitnessState {
  readonly sender: Sender;
  /** By sender and receiver: the last number of each of the sender's last lives. */
  readonly last: Map<string, Map<number, number>>;
  readonly open: Set<number>;
  readonly ends: Record<string, number>;
  readonly watches: Record<string, [number, number]>;
  readonly problems: string[];
  heard: number;
  asked: number;
}

export const witnessActor = defineActor<
  WitnessProtocol,
  WitnessOwn,
  StormArgs,
  WitnessState,
  unknown
>({
  module: import.meta.url,
  export: 'witnessActor',
  name: 'witness',
  mailbox: MAILBOX,
  start(self, args) {
    self.after('burst', BURST_MS, 'burst', null);
    return {
      sender: new Sender(args),
      last: new Map(),
      open: new Set(),
      ends: {},
      watches: {},
      problems: [],
      heard: 0,
      asked: 0,
    };
  },
  receive: {
    ...COMMON,
    count: hear,
    burst(state, _nothing, self) {
      const ref = state.sender.burst(self);
      if (ref === undefined) return;
      for (let i = 0; i < BURST_MESSAGES && state.open.size < OPEN_ASKS; i += 1) {
        state.asked += 1;
        state.open.add(state.asked);
        self.request(ref, 'echo', state.asked, { inMs: ASK_MS }, 'told', state.asked);
      }
    },
    told(state, { about, outcome }) {
      if (!state.open.delete(about)) note(state, `ask ${about} ended twice`);
      if (outcome.ok && outcome.value !== about)
        note(state, `ask ${about} got the answer to ${outcome.value}`);
      const end = outcome.ok ? 'answered' : String((outcome.error as { code?: string }).code);
      state.ends[end] = (state.ends[end] ?? 0) + 1;
    },
    watch(state, ids, self) {
      for (const id of ids) {
        const [watches, downs] = state.watches[id] ?? [0, 0];
        state.watches[id] = [watches + 1, downs];
        self.watch(memberRef(id));
      }
      return ids.length;
    },
    report: ({ heard, asked, open, ends, watches, problems }) => {
      const [oldestOpen = asked + 1] = open;
      return { heard, asked, oldestOpen, ends, watches, problems };
    },
    heap: () => restingHeap(),
  },
  down(state, { ref }: Down) {
    const id = ref.address.replace(/^.*\/|#.*$/g, '');
    const [watches, downs] = state.watches[id] ?? [0, 0];
    state.watches[id] = [watches, downs + 1];
    if (downs + 1 > watches) note(state, `${downs + 1} downs of ${id} for ${watches} watches`);
  },
});

/** One that comes twice, or after a later one of the same life, has no greater number than the last. */
function hear(state: WitnessState, { from, life, to, n }: Counted): void {
  state.heard += 1;
  const way = `${from} to ${to}`;
  const lives = state.last.get(way) ?? new Map<number, number>();
  state.last.set(way, lives);
  const last = lives.get(life) ?? 0;
  if (n <= last) note(state, `${n} came after ${last}, from ${way} in life ${life}`);
  lives.set(life, n);
  for (const earlier of lives.keys()) if (earlier < life - 1) lives.delete(earlier);
}

function note({ problems }: WitnessState, problem: string): void {
  if (problems.length < PROBLEMS_KEPT) problems.push(problem);
}
