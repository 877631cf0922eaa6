/** An actor for the runtime's tests that takes, gives and passes on memory. */
import { type ActorRef, defineActor, type Transferable, transfer } from '../../../runtime/index.ts';

/** What came of a piece of memory: its type, its length and its first byte. */
export type Seen = readonly [type: string, bytes: number, first: number];

export interface CarrierProtocol {
  see(message: unknown): readonly Seen[];
  /** The same without an answer, and not at once. */
  keep(message: { readonly bytes: Uint8Array }): void;
  kept(nothing: null): readonly Seen[];
  give(bytes: number): { readonly bytes: Uint8Array; readonly views: readonly Float64Array[] };
  giveTwice(nothing: null): unknown;
  /** Sends what it has to another one; answers what is left of it here. */
  passTo(to: ActorRef<CarrierProtocol>): readonly [boolean, Seen];
  park(ms: number): void;
}

interface State {
  readonly kept: Seen[];
}

export const carrierActor = defineActor<CarrierProtocol, CarrierProtocol, null, State, unknown>({
  module: import.meta.url,
  export: 'carrierActor',
  name: 'carrier',
  mailbox: { limitMessages: 4, overflow: 'reject' },
  start: () => ({ kept: [] }),
  receive: {
    see: (_state, message) => allIn(message).map(look),
    keep(state, { bytes }) {
      state.kept.push(look(bytes));
    },
    kept: ({ kept }) => [...kept],
    give(_state, length) {
      const bytes = new Uint8Array(length).fill(5);
      return { bytes: transfer(bytes), views: [transfer(new Float64Array(2).fill(1.5))] };
    },
    giveTwice() {
      const bytes = new Uint8Array(8);
      return { one: transfer(bytes), other: transfer(bytes) };
    },
    passTo(_state, to, self) {
      const bytes = new Uint8Array(100).fill(9);
      const isTaken = self.tell(to, 'keep', { bytes: transfer(bytes) });
      return [isTaken, look(bytes)];
    },
    park: (_state, ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  },
});

export function look(memory: Transferable): Seen {
  const { byteLength } = memory;
  if (byteLength === 0) return [memory.constructor.name, 0, -1];
  const [first = -1] = ArrayBuffer.isView(memory)
    ? new Uint8Array(memory.buffer, memory.byteOffset)
    : new Uint8Array(memory);
  return [memory.constructor.name, byteLength, first];
}

function allIn(value: unknown): readonly Transferable[] {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(allIn) : [];
}
