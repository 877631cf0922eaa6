/**
 * Writes the triples of a frame as MessagePack, with the records that msgpackr reads: the shape of an object once, then its
 * number. A frame is many small values, and the library's own writing of them is most of what a message to another thread
 * costs; what is not plain is the library's all the same.
 */
import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr';
import { RuntimeError } from '../errors.ts';
import { Parcel, type Transferable } from '../transfer.ts';
import { Shapes } from './shapes.ts';

/** Memory that travels beside: what is at `at` among the triples lacks it at `path`. */
export type Beside = readonly [at: number, path: readonly string[], memory: Transferable];

/** Binaries of at least this size go beside the frame, so that msgpack does not copy them once more. */
const BESIDE_BYTES = 16_384;

const FIRST_BYTES = 8_192;
/** More is given back after the frame that needed it. */
const KEPT_BYTES = 131_072;
/** What any value takes but for its text, its bytes, and what is in it. */
const VALUE_BYTES = 16;
/** A longer text is written by the platform. */
const SHORT_TEXT = 64;

/** Deeper is a cycle, or would not be read where the stack is smaller than the writer's. */
const MAX_DEPTH = 1_000;

/** As the reader has them: numbers from here on are shapes. */
const FIRST_SHAPE = 0x40;

const NULL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;
const BYTES_32 = 0xc6;
const FLOAT_64 = 0xcb;
const UINT_8 = 0xcc;
const UINT_16 = 0xcd;
const UINT_32 = 0xce;
const INT_32 = 0xd2;
/** Of one byte, with its type. */
const EXTENSION = 0xd4;
const UNDEFINED_TYPE = 0;
const SHAPE_TYPE = 0x72;
const TEXT_8 = 0xd9;
const TEXT_16 = 0xda;
const TEXT_32 = 0xdb;
const ARRAY_16 = 0xdc;
const ARRAY_32 = 0xdd;
const MAP_32 = 0xdf;
const SHORT_TEXT_HEAD = 0xa0;
const SHORT_ARRAY_HEAD = 0x90;

/** Where in the library's buffer a value was written. */
interface InPlace {
  readonly start: number;
  readonly end: number;
}

export class FrameWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = viewOf(this.#bytes);
  /** Written so far. */
  #at = 0;
  #isWriting = false;
  /** Of the value that is being written. */
  #depth = 0;
  readonly #shapes = new Shapes();
  readonly #packr = createPackr();

  /**
   * The bytes as a text of one-byte characters; `beside` gets what travels beside it. Throws on a value that has no form: the
   * other end then knows nothing of the shapes that were written, and another writer has to go on.
   */
  write(triples: readonly unknown[], beside: Beside[]): string {
    // By a getter that sends.
    if (this.#isWriting) throw new RuntimeError('not_encodable', 'sent while a message is read');
    this.#isWriting = true;
    this.#at = 0;
    this.#depth = 0;
    try {
      this.#arrayHead(triples.length);
      for (let i = 0; i < triples.length; i += 3) {
        this.#value(triples[i]);
        this.#value(triples[i + 1]);
        this.#payload(triples[i + 2], i + 2, beside);
      }
      return this.#bytes.toString('latin1', 0, this.#at);
    } finally {
      this.#isWriting = false;
      if (this.#bytes.length > KEPT_BYTES) this.#use(Buffer.allocUnsafeSlow(FIRST_BYTES));
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
    if (this.#at + VALUE_BYTES > this.#bytes.length) this.#grow(VALUE_BYTES);
    switch (typeof value) {
      case 'string':
        this.#text(value);
        return;
      case 'number':
        this.#number(value);
        return;
      case 'boolean':
        this.#bytes[this.#at++] = value ? TRUE : FALSE;
        return;
      case 'undefined':
        this.#extension(UNDEFINED_TYPE, 0);
        return;
      case 'object':
        this.#object(value);
        return;
      default:
        this.#foreign(value);
    }
  }

  #object(value: object | null): void {
    if (value === null) {
      this.#bytes[this.#at++] = NULL;
      return;
    }
    if (this.#depth === MAX_DEPTH) throw tooDeep();
    this.#depth += 1;
    if (isRecord(value)) this.#record(value);
    else if (value.constructor === Array) this.#array(value as readonly unknown[]);
    else if (value instanceof Uint8Array) this.#binary(value);
    else this.#foreign(value);
    this.#depth -= 1;
  }

  /** With `beside` its large binaries go there. */
  #record(record: Record<string, unknown>, at = 0, beside?: Beside[]): void {
    if (this.#at + VALUE_BYTES > this.#bytes.length) this.#grow(VALUE_BYTES);
    const shape = this.#shapes.of(record);
    if (shape === undefined) {
      this.#table(record);
      return;
    }
    if (shape.isNew) {
      shape.isNew = false;
      this.#extension(SHAPE_TYPE, FIRST_SHAPE + shape.number);
      this.#array(shape.fields);
    } else this.#bytes[this.#at++] = FIRST_SHAPE + shape.number;
    let left = shape.fields.length;
    for (const field in record) {
      const value = record[field];
      if (beside !== undefined && isLarge(value) && keepsItsName(field)) {
        // A Buffer's own `slice` is a view of memory that others have a part of.
        const copy = new Uint8Array(Uint8Array.prototype.slice.call(value).buffer);
        beside.push([at, [field], copy]);
        this.#value(null);
      } else this.#value(value);
      left -= 1;
    }
    if (left !== 0) throw new RuntimeError('not_encodable', 'its fields change as they are read');
  }

  /** An object without a shape: its names stand before its values. */
  #table(object: object): void {
    const entries = Object.entries(object);
    this.#head(MAP_32, entries.length);
    for (const [name, value] of entries) {
      this.#value(name);
      this.#value(value);
    }
  }

  #array(array: readonly unknown[]): void {
    this.#arrayHead(array.length);
    for (let i = 0; i < array.length; i += 1) this.#value(array[i]);
  }

  #arrayHead(length: number): void {
    if (length < 16) this.#bytes[this.#at++] = SHORT_ARRAY_HEAD | length;
    else if (length < 0x10000) {
      this.#bytes[this.#at++] = ARRAY_16;
      this.#bytes[this.#at++] = length >> 8;
      this.#bytes[this.#at++] = length & 0xff;
    } else this.#head(ARRAY_32, length);
  }

  #number(value: number): void {
    const bytes = this.#bytes;
    if (value >>> 0 === value) {
      if (value < FIRST_SHAPE) bytes[this.#at++] = value;
      else if (value < 0x100) {
        bytes[this.#at++] = UINT_8;
        bytes[this.#at++] = value;
      } else if (value < 0x10000) {
        bytes[this.#at++] = UINT_16;
        bytes[this.#at++] = value >> 8;
        bytes[this.#at++] = value & 0xff;
      } else this.#head(UINT_32, value);
    } else if ((value | 0) === value) this.#head(INT_32, value);
    else {
      bytes[this.#at++] = FLOAT_64;
      this.#view.setFloat64(this.#at, value);
      this.#at += 8;
    }
  }

  #text(text: string): void {
    const { length } = text;
    if (length >= SHORT_TEXT) {
      this.#longText(text);
      return;
    }
    if (this.#at + 2 + length > this.#bytes.length) this.#grow(2 + length);
    const bytes = this.#bytes;
    let at = this.#at;
    if (length < 32) bytes[at++] = SHORT_TEXT_HEAD | length;
    else {
      bytes[at++] = TEXT_8;
      bytes[at++] = length;
    }
    for (let i = 0; i < length; i += 1) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.#longText(text);
        return;
      }
      bytes[at++] = code;
    }
    this.#at = at;
  }

  #longText(text: string): void {
    const most = text.length * 3;
    if (this.#at + 5 + most > this.#bytes.length) this.#grow(5 + most);
    const headBytes = most < 0x100 ? 2 : most < 0x10000 ? 3 : 5;
    const start = this.#at + headBytes;
    const length = this.#bytes.write(text, start);
    if (headBytes === 5) this.#head(TEXT_32, length);
    else if (headBytes === 3) {
      this.#bytes[this.#at] = TEXT_16;
      this.#view.setUint16(this.#at + 1, length);
    } else {
      this.#bytes[this.#at] = TEXT_8;
      this.#bytes[this.#at + 1] = length;
    }
    this.#at = start + length;
  }

  #binary(binary: Uint8Array): void {
    if (this.#at + 5 + binary.length > this.#bytes.length) this.#grow(5 + binary.length);
    this.#head(BYTES_32, binary.length);
    this.#bytes.set(binary, this.#at);
    this.#at += binary.length;
  }

  /** A date, a map, a big integer: as the library writes it. */
  #foreign(value: unknown): void {
    checkForeign(value, MAX_DEPTH - this.#depth);
    const packed = this.#packr.pack(value, IN_PLACE) as Buffer & InPlace;
    const { start, end } = packed;
    if (this.#at + end - start > this.#bytes.length) this.#grow(end - start);
    this.#at += packed.copy(this.#bytes, this.#at, start, end);
  }

  #extension(type: number, value: number): void {
    this.#bytes[this.#at++] = EXTENSION;
    this.#bytes[this.#at++] = type;
    this.#bytes[this.#at++] = value;
  }

  #head(token: number, count: number): void {
    this.#bytes[this.#at] = token;
    this.#view.setUint32(this.#at + 1, count);
    this.#at += 5;
  }

  /** For so many bytes more. */
  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#use(larger);
  }

  #use(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
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

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
