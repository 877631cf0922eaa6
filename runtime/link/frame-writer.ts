/**
 * Writes the triples of a frame as MessagePack, with the records that msgpackr reads: the shape of an object once, then its
 * number. A frame is many small values, and the library's own writing of them is most of what a message to another thread
 * costs; what is not plain is the library's all the same.
 */
import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr';
import { RuntimeError } from '../errors.ts';
import { MsgpackWriter } from '../msgpack-writer.ts';
import { Parcel, type Transferable } from '../transfer.ts';
import { Shapes } from './shapes.ts';

/** Memory that travels beside: what is at `at` among the triples lacks it at `path`. */
export type Beside = readonly [at: number, path: readonly string[], memory: Transferable];

/** Binaries of at least this size go beside the frame, so that msgpack does not copy them once more. */
const BESIDE_BYTES = 16_384;

/** Deeper is a cycle, or would not be read where the stack is smaller than the writer's. */
const MAX_DEPTH = 1_000;

/** As the reader has them: numbers from here on are shapes. */
const FIRST_SHAPE = 0x40;

const SHAPE_TYPE = 0x72;

/** Where in the library's buffer a value was written. */
interface InPlace {
  readonly start: number;
  readonly end: number;
}

export class FrameWriter {
  readonly #out = new MsgpackWriter();
  /** Of the value that is being written. */
  #depth = 0;
  readonly #shapes = new Shapes();
  readonly #packr = createPackr();

  /**
   * The bytes as a text of one-byte characters; `beside` gets what travels beside it. Throws on a value that has no form: the
   * other end then knows nothing of the shapes that were written, and another writer has to go on.
   */
  write(triples: readonly unknown[], beside: Beside[]): string {
    const out = this.#out;
    out.begin();
    this.#depth = 0;
    try {
      out.arrayHead(triples.length);
      for (let i = 0; i < triples.length; i += 3) {
        this.#value(triples[i]);
        this.#value(triples[i + 1]);
        this.#payload(triples[i + 2], i + 2, beside);
      }
      return out.toLatin1();
    } finally {
      out.end();
    }
  }

  #payload(payload: unknown, at: number, beside: Beside[]): void {
    let rest = payload;
    if (payload instanceof Parcel) {
      for (const { path, memory } of payload.pieces) beside.push([at, path, memory]);
      rest = payload.rest;
    }
    if (isRecord(rest)) this.#record(rest, at, beside);
    else this.#value(rest);
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.#out.text(value);
        return;
      case 'number':
        this.#out.number(value);
        return;
      case 'boolean':
        this.#out.boolean(value);
        return;
      case 'undefined':
        this.#out.undefined();
        return;
      case 'object':
        if (value === null) this.#out.null();
        else this.#object(value);
        return;
      default:
        this.#foreign(value);
    }
  }

  #object(value: object): void {
    if (this.#depth === MAX_DEPTH) throw tooDeep();
    this.#depth += 1;
    if (isRecord(value)) this.#record(value);
    else if (value.constructor === Array) this.#array(value as readonly unknown[]);
    else if (value instanceof Uint8Array) this.#out.binary(value);
    else this.#foreign(value);
    this.#depth -= 1;
  }

  /** With `beside` its large binaries go there. */
  #record(record: Record<string, unknown>, at = 0, beside?: Beside[]): void {
    const shape = this.#shapes.of(record);
    if (shape === undefined) {
      this.#table(record);
      return;
    }
    if (shape.isNew) {
      shape.isNew = false;
      this.#out.extension(SHAPE_TYPE, FIRST_SHAPE + shape.number);
      this.#array(shape.fields);
    } else this.#out.byte(FIRST_SHAPE + shape.number);
    let left = shape.fields.length;
    for (const field in record) {
      const value = record[field];
      if (beside !== undefined && isLarge(value) && keepsItsName(field)) {
        // A Buffer's own `slice` is a view of memory that others have a part of.
        const copy = new Uint8Array(Uint8Array.prototype.slice.call(value).buffer);
        beside.push([at, [field], copy]);
        this.#out.null();
      } else this.#value(value);
      left -= 1;
    }
    if (left !== 0) throw new RuntimeError('not_encodable', 'its fields change as they are read');
  }

  /** An object without a shape: its names stand before its values. */
  #table(object: object): void {
    const entries = Object.entries(object);
    this.#out.mapHead(entries.length);
    for (const [name, value] of entries) {
      this.#out.text(name);
      this.#value(value);
    }
  }

  #array(array: readonly unknown[]): void {
    // As many as the head says, whatever a getter among them does to the array.
    const { length } = array;
    this.#out.arrayHead(length);
    for (let i = 0; i < length; i += 1) this.#value(array[i]);
  }

  /** A date, a map, a big integer: as the library writes it. */
  #foreign(value: unknown): void {
    checkForeign(value, MAX_DEPTH - this.#depth);
    const packed = this.#packr.pack(value, IN_PLACE) as Buffer & InPlace;
    const { start, end } = packed;
    this.#out.raw(packed.subarray(start, end));
  }
}

const IN_PLACE = REUSE_BUFFER_MODE | RESET_BUFFER_MODE;

/** An object of no class. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && value.constructor === Object;
}

/** As the reader has it. */
function keepsItsName(field: string): boolean {
  return field !== '__proto__' && field.isWellFormed();
}

function tooDeep(): RuntimeError {
  return new RuntimeError('not_encodable', `a message is nested ${MAX_DEPTH} deep at most`);
}

/** What the library would write so that it is read as something else, or not at all. */
function checkForeign(value: unknown, left: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (left < 0) throw tooDeep();
  if (ArrayBuffer.isView(value)) checkView(value);
  else if (value instanceof Map) {
    for (const [key, part] of value) {
      if (typeof key === 'object' && key !== null) throw noForm('a Map with objects as its keys');
      checkForeign(part, left - 1);
    }
  } else {
    const parts = value instanceof Set ? value : Object.values(value);
    for (const part of parts) checkForeign(part, left - 1);
  }
}

function checkView(view: ArrayBufferView): void {
  if (view instanceof Uint8Array || view instanceof Uint8ClampedArray) return;
  throw noForm(`a ${view.constructor.name}, but for its bytes as a Uint8Array,`);
}

function noForm(what: string): RuntimeError {
  return new RuntimeError('not_encodable', `${what} has no form between threads`);
}

function isLarge(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.byteLength >= BESIDE_BYTES;
}

/** A function would be lost without a word. */
function refuseFunction(): never {
  throw noForm('a function');
}

/** It numbers no shapes: the numbers are the writer's. */
function createPackr(): Packr {
  const packr: Packr & { writeFunction?: () => never } = new Packr({
    useRecords: () => false,
    encodeUndefinedAsNil: false,
  });
  packr.writeFunction = refuseFunction;
  return packr;
}
