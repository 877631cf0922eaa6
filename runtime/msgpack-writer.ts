/**
 * Writes MessagePack piece by piece into memory that is used again: rows and frames are many small values, and for each of
 * them the library's own way costs twice this. Which values may be written, and how deep, its owner says.
 */
import { RuntimeError } from './errors.ts';

const FIRST_BYTES = 8_192;
/** More is given back when what needed it is written. */
const KEPT_BYTES = 131_072;
/** What any value takes but for its text, its bytes, and what is in it. */
const VALUE_BYTES = 16;
/** A longer text is written by the platform. */
const SHORT_TEXT = 128;
/** msgpackr takes smaller numbers from here on for its records, and reads them as numbers only when longer. */
const FIRST_LONG_NUMBER = 0x40;

const NULL = 0xc0;
const FALSE = 0xc2;
const TRUE = 0xc3;
const BYTES_8 = 0xc4;
const BYTES_16 = 0xc5;
const BYTES_32 = 0xc6;
const FLOAT_64 = 0xcb;
const UINT_8 = 0xcc;
const UINT_16 = 0xcd;
const UINT_32 = 0xce;
const INT_8 = 0xd0;
const INT_16 = 0xd1;
const INT_32 = 0xd2;
/** Of one byte, with its type. */
const EXTENSION = 0xd4;
const UNDEFINED_TYPE = 0;
const TEXT_8 = 0xd9;
const TEXT_16 = 0xda;
const TEXT_32 = 0xdb;
const ARRAY_16 = 0xdc;
const ARRAY_32 = 0xdd;
const MAP_16 = 0xde;
const MAP_32 = 0xdf;
const SHORT_TEXT_HEAD = 0xa0;
const SHORT_ARRAY_HEAD = 0x90;

export class MsgpackWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = viewOf(this.#bytes);
  #at = 0;
  #isWriting = false;

  /** Bytes written since `begin`. */
  get length(): number {
    return this.#at;
  }

  /** `end` must follow, whatever happens. Throws `not_encodable` while something is written: a getter has called. */
  begin(): void {
    if (this.#isWriting) throw new RuntimeError('not_encodable', 'written while a value is read');
    this.#isWriting = true;
    this.#at = 0;
  }

  end(): void {
    this.#isWriting = false;
    if (this.#bytes.length > KEPT_BYTES) this.#use(Buffer.allocUnsafeSlow(FIRST_BYTES));
  }

  /** What is written, in memory of its own. */
  toBytes(): Buffer {
    const copy = Buffer.allocUnsafe(this.#at);
    this.#bytes.copy(copy, 0, 0, this.#at);
    return copy;
  }

  /** What is written, as a text of one-byte characters. */
  toLatin1(): string {
    return this.#bytes.toString('latin1', 0, this.#at);
  }

  byte(value: number): void {
    this.#need(VALUE_BYTES);
    this.#bytes[this.#at++] = value;
  }

  null(): void {
    this.byte(NULL);
  }

  undefined(): void {
    this.extension(UNDEFINED_TYPE, 0);
  }

  boolean(value: boolean): void {
    this.byte(value ? TRUE : FALSE);
  }

  extension(type: number, value: number): void {
    this.byte(EXTENSION);
    this.byte(type);
    this.byte(value);
  }

  number(value: number): void {
    this.#need(VALUE_BYTES);
    const bytes = this.#bytes;
    if (value >>> 0 === value) {
      if (value < FIRST_LONG_NUMBER) bytes[this.#at++] = value;
      else if (value < 0x100) {
        bytes[this.#at++] = UINT_8;
        bytes[this.#at++] = value;
      } else if (value < 0x10000) this.#head16(UINT_16, value);
      else this.#head(UINT_32, value);
    } else if ((value | 0) === value) this.#negative(value);
    else this.float64(value);
  }

  #negative(value: number): void {
    if (value >= -0x20) this.#bytes[this.#at++] = value & 0xff;
    else if (value >= -0x80) {
      this.#bytes[this.#at++] = INT_8;
      this.#bytes[this.#at++] = value & 0xff;
    } else if (value >= -0x8000) this.#head16(INT_16, value & 0xffff);
    else this.#head(INT_32, value);
  }

  /** In eight bytes, also where fewer would hold it. */
  float64(value: number): void {
    this.byte(FLOAT_64);
    this.#view.setFloat64(this.#at, value);
    this.#at += 8;
  }

  text(text: string): void {
    const { length } = text;
    if (length >= SHORT_TEXT) {
      this.#longText(text);
      return;
    }
    this.#need(2 + length);
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
    this.#need(5 + most);
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

  binary(binary: Uint8Array): void {
    const { length } = binary;
    this.#need(5 + length);
    if (length < 0x100) {
      this.#bytes[this.#at++] = BYTES_8;
      this.#bytes[this.#at++] = length;
    } else if (length < 0x10000) this.#head16(BYTES_16, length);
    else this.#head(BYTES_32, length);
    this.#bytes.set(binary, this.#at);
    this.#at += length;
  }

  /** Bytes that are MessagePack already. */
  raw(bytes: Uint8Array): void {
    this.#need(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** So many values follow. */
  arrayHead(length: number): void {
    this.#need(VALUE_BYTES);
    if (length < 16) this.#bytes[this.#at++] = SHORT_ARRAY_HEAD | length;
    else if (length < 0x10000) this.#head16(ARRAY_16, length);
    else this.#head(ARRAY_32, length);
  }

  /** So many names follow, each before its value. */
  mapHead(length: number): void {
    this.#need(VALUE_BYTES);
    if (length < 0x10000) this.#head16(MAP_16, length);
    else this.#head(MAP_32, length);
  }

  #head16(token: number, count: number): void {
    const bytes = this.#bytes;
    bytes[this.#at++] = token;
    bytes[this.#at++] = count >> 8;
    bytes[this.#at++] = count & 0xff;
  }

  #head(token: number, count: number): void {
    this.#bytes[this.#at] = token;
    this.#view.setUint32(this.#at + 1, count);
    this.#at += 5;
  }

  /** Room for so many bytes more. */
  #need(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#use(larger);
  }

  #use(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
