/** Table names and row keys: what is allowed, and the order of keys by their UTF-8 bytes. Knows no storage. */
import { RuntimeError } from '../errors.ts';

export const JOURNAL_TABLE = 'journal';
export const META_TABLE = 'meta';

// The engine's key limit is 1,978 bytes at 4 KiB pages; table, separator and key share it.
const MAX_KEY_BYTES = 1_900;
const TABLE = /^[a-z][a-z0-9_.-]{0,63}$/;

/** Throws `bad_option` unless callers may write rows of this table. */
export function checkTable(table: string): void {
  if (typeof table !== 'string' || !TABLE.test(table)) {
    throw new RuntimeError(
      'bad_option',
      `store: table ${shown(table)} does not match ${String(TABLE)}`,
    );
  }
  if (table === JOURNAL_TABLE || table === META_TABLE) {
    throw new RuntimeError('bad_option', `store: the table ${table} is the store's own`);
  }
}

/** Throws `bad_option` unless the key has 1 to 1,900 bytes of well-formed text. */
export function checkKey(key: string): void {
  if (typeof key !== 'string' || key === '') {
    throw new RuntimeError('bad_option', `store: a key is a string that is not empty`);
  }
  checkKeyText(key);
}

/** As `checkKey`, for prefixes and cursors, which may be empty. */
export function checkKeyText(text: string): void {
  const { length } = text;
  // Three bytes a code unit at most: most keys need no counting.
  if (length * 3 > MAX_KEY_BYTES && Buffer.byteLength(text) > MAX_KEY_BYTES) {
    throw new RuntimeError(
      'bad_option',
      `store: key ${shown(text)} has more than ${MAX_KEY_BYTES} bytes`,
    );
  }
  // Two different ill-formed keys would become the same bytes.
  if (!text.isWellFormed()) {
    throw new RuntimeError('bad_option', `store: key ${shown(text)} is not well-formed text`);
  }
}

/** Orders as the UTF-8 bytes do; `<` on strings orders by UTF-16 units and differs beyond U+D7FF. */
export function compareKeys(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** Surrogates stand for the code points after U+FFFF, so they go behind U+E000–U+FFFF. */
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800;
  return unit >= 0xd800 ? unit + 0x2000 : unit;
}

function shown(value: unknown): string {
  const text = String(value);
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
