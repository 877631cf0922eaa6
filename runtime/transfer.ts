/** Memory that moves with a message instead of being copied: its marks, its checks, and the parcel that takes it along. */
import { RuntimeError } from './errors.ts';

export type Transferable = ArrayBuffer | ArrayBufferView;

/** A piece of memory, and where in its payload it belongs: the names of fields, from the outside in. */
export interface Piece {
  readonly path: readonly string[];
  readonly memory: Transferable;
}

/** Whoever marks memory and then never sends it does not have every later message looked through. */
const LOOKS = 10_000;

/** What `transfer` has marked and no message has taken yet. */
class Marks {
  #buffers = new WeakSet<ArrayBufferLike>();
  #count = 0;
  /** Messages that are still looked through. */
  looks = 0;

  has(value: object): boolean {
    return this.#buffers.has(ArrayBuffer.isView(value) ? value.buffer : (value as ArrayBuffer));
  }

  add(buffer: ArrayBufferLike): void {
    this.looks = LOOKS;
    if (this.#buffers.has(buffer)) return;
    this.#buffers.add(buffer);
    this.#count += 1;
  }

  remove(buffer: ArrayBufferLike): void {
    if (!this.#buffers.delete(buffer)) return;
    this.#count -= 1;
    if (this.#count === 0) this.looks = 0;
  }

  look(): void {
    this.looks -= 1;
    if (this.looks > 0) return;
    this.#buffers = new WeakSet();
    this.#count = 0;
  }
}

/** Of this thread. */
const marks = new Marks();

/**
 * The same value, marked: the message or the reply that holds it, at whatever depth, takes its memory along instead of a copy.
 * Once that is taken the sender's buffer is empty (`byteLength` 0), inline and within a thread too, and the receiver has all
 * of it; whatever is sent with the same value later, also to a deferred answer's second asker, has it empty. A message that is
 * refused at the call leaves it as it was. A `Buffer` arrives as a `Uint8Array`. Memory that the platform does not let go
 * (WebAssembly's) is copied, as all is in a system of another copy of the package. Call it where the message is written: the
 * mark is looked for in the thread's next 10,000 messages. Throws `bad_transfer` for what is no `ArrayBuffer` or view, is
 * shared, was moved already, or is a view of a part: the rest, such as that of Node's pool, is somebody else's. `tell` and
 * `ask` throw it too, before anything has moved, where a message holds the same memory twice.
 */
export function transfer<T extends Transferable>(value: T): T {
  marks.add(check(value));
  return value;
}

/** The payload, or a parcel of it where it holds what is marked. Nothing has moved yet. Throws `bad_transfer`. */
export function pack(payload: unknown): unknown {
  if (marks.looks === 0) return payload;
  marks.look();
  const pieces: Piece[] = [];
  try {
    const rest = takeOut(payload, { path: [], above: [] }, pieces);
    return pieces.length === 0 ? payload : new Parcel(rest, pieces);
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    // What cannot be read is for the codec to refuse.
    return payload;
  }
}

/** What a receiver in this thread gets. */
export function unpack(packed: unknown): unknown {
  return packed instanceof Parcel ? packed.open() : packed;
}

/** A message that takes memory along: its payload without it, and where each piece belongs. */
export class Parcel {
  readonly rest: unknown;
  readonly bytes: number;
  #pieces: readonly Piece[];
  #hasMoved = false;

  constructor(rest: unknown, pieces: readonly Piece[]) {
    this.rest = rest;
    this.#pieces = pieces;
    this.bytes = pieces.reduce((sum, { memory }) => sum + memory.byteLength, 0);
  }

  /** What is in it once it is taken. */
  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /** It is taken: the sender's buffers are empty from now on. */
  take(): void {
    if (this.#hasMoved) return;
    this.#hasMoved = true;
    this.#pieces = this.#pieces.map(({ path, memory }) => ({ path, memory: move(memory) }));
  }

  /** Taken and put together again, for a receiver in this thread. */
  open(): unknown {
    this.take();
    return this.#pieces.reduce(
      (payload, { path, memory }) => put(payload, path, memory),
      this.rest,
    );
  }

  /** The same memory with another copy of the rest. */
  with(rest: unknown): Parcel {
    return new Parcel(rest, this.#pieces);
  }
}

/** The payload with `memory` in its place. Throws where there is no such place. */
export function put(payload: unknown, path: readonly string[], memory: Transferable): unknown {
  const field = path.at(-1);
  if (field === undefined) return memory;
  let holder = payload;
  for (const name of path.slice(0, -1)) holder = ownField(holder, name);
  ownField(holder, field);
  (holder as Record<string, unknown>)[field] = memory;
  return payload;
}

function ownField(holder: unknown, name: string): unknown {
  if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, name))
    throw new RuntimeError('bad_frame', `nothing is at '${name}'`);
  return (holder as Record<string, unknown>)[name];
}

/** Its buffer, all of which the value is. */
function check(value: unknown): ArrayBufferLike {
  const isView = ArrayBuffer.isView(value);
  const buffer = isView ? value.buffer : value;
  if (!(buffer instanceof ArrayBuffer)) throw refusal(`it is ${nameOf(buffer)}`);
  if (isDetached(buffer)) throw refusal('its memory has been moved');
  if (isView && value.byteLength !== buffer.byteLength)
    throw refusal(`it is ${value.byteLength} bytes of a buffer of ${buffer.byteLength}`);
  return buffer;
}

function refusal(why: string): RuntimeError {
  const expected = 'expected an ArrayBuffer, or a view of the whole of one, that nobody shares';
  return new RuntimeError('bad_transfer', `memory cannot be moved: ${why}; ${expected}`);
}

function nameOf(value: unknown): string {
  return value instanceof SharedArrayBuffer ? 'shared' : typeof value;
}

function isDetached(buffer: ArrayBuffer): boolean {
  if (buffer.byteLength > 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** Where the search for marks is: the names of fields from the outside in, and the objects that they are fields of. */
interface Depth {
  readonly path: string[];
  readonly above: object[];
}

/** The value without what is marked in it: itself where nothing is, else a copy of what is around that. */
function takeOut(value: unknown, depth: Depth, pieces: Piece[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    if (!marks.has(value)) return value;
    const buffer = check(value);
    if (pieces.some(({ memory }) => bufferOf(memory) === buffer))
      throw refusal('the message holds it twice');
    pieces.push({ path: [...depth.path], memory: value });
    return null;
  }
  // A circle has no form between threads; within one it may stand.
  if (!isPlain(value) || depth.above.includes(value)) return value;
  let copy: Record<string, unknown> | undefined;
  depth.above.push(value);
  for (const name of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[name];
    // Names that do not arrive as they are.
    if (typeof inner !== 'object' || name === '__proto__' || !name.isWellFormed()) continue;
    depth.path.push(name);
    const rest = takeOut(inner, depth, pieces);
    depth.path.pop();
    if (rest === inner) continue;
    copy ??= (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
    copy[name] = rest;
  }
  depth.above.pop();
  return copy ?? value;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Array.isArray(value);
}

export function bufferOf(memory: Transferable): ArrayBufferLike {
  return ArrayBuffer.isView(memory) ? memory.buffer : memory;
}

function move<T extends Transferable>(memory: T): T {
  const buffer = bufferOf(memory) as ArrayBuffer;
  marks.remove(buffer);
  try {
    return structuredClone(memory, { transfer: [buffer] });
  } catch {
    // The platform does not let it go.
    return structuredClone(memory);
  }
}
