/** The form of what crosses between threads: flat triples (route, meta, payload), many to a frame. */
import { Unpackr } from 'msgpackr';
import { RuntimeError } from '../errors.ts';
import { bufferOf, put } from '../transfer.ts';
import { type Beside, FrameWriter } from './frame-writer.ts';

/** A number names a route that this link has seen; the array names it and gives it its number. */
export type WireRoute = number | readonly [id: number, address: string, kind: string];
/** 0: a plain tell · text: its trace · array: an ask `[id, inMs, trace | 0, chain]`. */
export type WireMeta = 0 | string | readonly [number, number, string | 0, readonly string[]];

/** Replies travel as messages on these routes, with the ask's id as meta. */
export const REPLY_ROUTE = 0;
/** Payload `[code, detail]`. */
export const FAILURE_ROUTE = -1;

/** As the number in a route's definition: not to be remembered. */
export const UNNUMBERED = 0;
/** As meta: the triple only numbers its route. */
export const DEFINE_ONLY = -1;

/** As meta: the payload is a list of the numbers of routes that are freed, behind all that used them. */
export const FORGET = -2;

/** A longer frame gets memory of its own. */
const SCRATCH_BYTES = 131_072;

/** The bytes as a text of one-byte characters: that crosses in a third of the time that an ArrayBuffer takes. */
export interface WireFrame {
  readonly frame: string;
  readonly beside: readonly Beside[];
}

/**
 * One end of a link. The shape of an object is written once and then named by number, as long as it is among the last 64,
 * so frames are read in the order they were written, all of them.
 */
export class FrameCodec {
  #writer = new FrameWriter();
  readonly #unpackr = createUnpackr();
  /** Of all links of the thread: what is read from it is copied before the next frame comes. */
  static #scratch: Buffer | undefined = undefined;

  /** What was encoded last is not sent: the other end knows nothing of the shapes in it. */
  forget(): void {
    this.#writer = new FrameWriter();
  }

  /** Throws on a value that has no form; then `forget` before the next one. */
  encode(triples: readonly unknown[]): WireFrame {
    const beside: Beside[] = [];
    return { frame: this.#writer.write(triples, beside), beside };
  }

  /** Throws on what no other end has written. */
  decode(wire: WireFrame): unknown[] {
    const unpacked = this.#unpackr.unpack(this.#bytesOf(wire.frame), wire.frame.length);
    const triples = checkTriples(unpacked);
    for (const [at, path, memory] of wire.beside) put(triples, [String(at), ...path], memory);
    return triples;
  }

  /** Memory that is used for one frame after the other; what was read from it is copied. */
  #bytesOf(frame: string): Buffer {
    const { length } = frame;
    if (length > SCRATCH_BYTES) return Buffer.from(frame, 'latin1');
    FrameCodec.#scratch ??= Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    FrameCodec.#scratch.write(frame, 0, length, 'latin1');
    return FrameCodec.#scratch;
  }
}

/** The same list. Throws where it is not one of triples, each of the form that `WireRoute` and `WireMeta` say. */
export function checkTriples(triples: unknown): unknown[] {
  if (!Array.isArray(triples) || triples.length === 0 || triples.length % 3 !== 0)
    throw garbage('a list of triples');
  for (let i = 0; i < triples.length; i += 3) {
    const route: unknown = triples[i];
    if (typeof route !== 'number' && !isDefinition(route)) throw garbage('a route');
    const meta: unknown = triples[i + 1];
    if (typeof meta === 'object' ? !isAskMeta(meta) : !isTellMeta(meta)) throw garbage('a meta');
    if (meta === FORGET && !Array.isArray(triples[i + 2])) throw garbage('a list of numbers');
    if (route === FAILURE_ROUTE && !isOfLength(triples[i + 2], 2)) throw garbage('a failure');
  }
  return triples;
}

function garbage(expected: string): RuntimeError {
  return new RuntimeError('bad_frame', `expected ${expected}`);
}

function isOfLength(value: unknown, length: number): value is readonly unknown[] {
  return Array.isArray(value) && value.length === length;
}

function isDefinition(route: unknown): boolean {
  if (!isOfLength(route, 3)) return false;
  const [id, address, kind] = route;
  return typeof id === 'number' && typeof address === 'string' && typeof kind === 'string';
}

function isTellMeta(meta: unknown): boolean {
  return typeof meta === 'number' || typeof meta === 'string';
}

function isAskMeta(meta: unknown): boolean {
  if (!isOfLength(meta, 4)) return false;
  const [id, inMs, trace, chain] = meta;
  const isTimed = typeof id === 'number' && typeof inMs === 'number';
  return isTimed && isTellMeta(trace) && Array.isArray(chain);
}

/** What crosses with a frame without a copy. */
export function buffersOf({ beside }: WireFrame): ArrayBuffer[] {
  return beside.map(([, , memory]) => bufferOf(memory) as ArrayBuffer);
}

/** In bytes, with what travels beside. */
export function sizeOf({ frame, beside }: WireFrame): number {
  return beside.reduce((sum, [, , { byteLength }]) => sum + byteLength, frame.length);
}

/** One payload there and back, as alone in a frame. Throws where it has no form. */
export function carryAlone(): (payload: unknown) => unknown {
  let codec = new FrameCodec();
  return (payload) => {
    try {
      return codec.decode(codec.encode([REPLY_ROUTE, 0, payload]))[2];
    } catch (error) {
      codec = new FrameCodec();
      throw error;
    }
  };
}

function createUnpackr(): Unpackr {
  return new Unpackr({ mapsAsObjects: true, sequential: true, copyBuffers: true });
}
