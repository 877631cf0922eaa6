/**
 * Follows the trees of a data file page by page. The engine believes every page: a damaged one ends the process that meets it,
 * or hides rows. What the pages hold beyond their own order, the bytes of the rows, is not looked at.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { corrupt, DATA_FILE, type DataFile, type PageTree, readDataFile } from './data-file.ts';

// The layout of a page and of the nodes on it (MDB_page, MDB_node, MDB_ovpage in liblmdb/mdb.c).
const PAGE_HEADER_BYTES = 24;
const WRITTEN_BY_AT = 8;
const FLAGS_AT = 18;
const LOWER_AT = 20;
const UPPER_AT = 22;
const OVERFLOW_COUNT_AT = 20;
const BRANCH = 0x01;
const LEAF = 0x02;
const OVERFLOW = 0x04;
const KIND_FLAGS = 0x6f;
const NODE_HEADER_BYTES = 8;
const NODE_FLAGS_AT = 4;
const KEY_BYTES_AT = 6;
const BIG_DATA = 0x01;
const OVERFLOW_REF_BYTES = 24;

const PAGES_A_SLICE = 256;

/** What a start follows whole, in about a tenth of a second: 64 MiB of pages of 4 KiB. */
export const PAGES_AT_START = 16_384;

/**
 * False where nothing was ever written. Rejects with `store_corrupt` where a page is not what the page above it says, or the
 * pages and entries are not as many as the engine has counted. A tree of more than `maxPages` is followed to above its
 * leaves. Beside a writer its pages must be kept. Gives the thread's other work its turns.
 */
export async function checkDataFile(
  directory: string,
  maxPages: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const file = readDataFile(join(directory, DATA_FILE));
  if (file === undefined) return false;
  const handle = openSync(file.path, 'r');
  try {
    const pages = new Pages(file, handle);
    for (const tree of [file.freeList, file.rows]) {
      const slices = checkTree(pages, tree, maxPages);
      while (slices.next().done !== true) {
        await nextTurn();
        signal?.throwIfAborted();
      }
    }
  } finally {
    closeSync(handle);
  }
  return true;
}

function* checkTree(pages: Pages, tree: PageTree, maxPages: number): Generator<void> {
  const { depth, branchPages, leafPages, overflowPages, entries } = tree;
  let level: readonly number[] = depth === 0 ? [] : [tree.rootPage];
  let branches = 0;
  for (let left = depth - 1; left > 0; left -= 1) {
    const below: number[] = [];
    for (const page of level) {
      pages.addChildren(page, below);
      branches += 1;
      if (branches + below.length > branchPages + leafPages) break;
      if (branches % PAGES_A_SLICE === 0) yield;
    }
    level = below;
  }
  pages.expect('branch pages', branches, branchPages);
  pages.expect('leaf pages', level.length, leafPages);
  if (leafPages + overflowPages > maxPages) return;
  const found: Found = { entries: 0, overflowPages: 0 };
  // In the order of the file, which a disk reads fastest.
  for (const [index, page] of [...level].sort((a, b) => a - b).entries()) {
    pages.addLeaf(page, found);
    if (index % PAGES_A_SLICE === PAGES_A_SLICE - 1) yield;
  }
  pages.expect('entries', found.entries, entries);
  pages.expect('overflow pages', found.overflowPages, overflowPages);
}

interface Found {
  entries: number;
  overflowPages: number;
}

class Pages {
  readonly #file: DataFile;
  readonly #handle: number;
  readonly #page: Buffer;
  readonly #overflow = Buffer.alloc(PAGE_HEADER_BYTES);

  constructor(file: DataFile, handle: number) {
    this.#file = file;
    this.#handle = handle;
    this.#page = Buffer.alloc(file.pageBytes);
  }

  addChildren(number: number, children: number[]): void {
    const page = this.#read(number, this.#page, BRANCH);
    let used = 0;
    for (let at = PAGE_HEADER_BYTES; at < this.#nodesEnd(number); at += 2) {
      const node = this.#nodeAt(number, at);
      children.push(page.readUInt32LE(node) + page.readUInt16LE(node + NODE_FLAGS_AT) * 2 ** 32);
      used += this.#roomOf(number, node, 0);
    }
    this.#expectFull(number, used);
  }

  addLeaf(number: number, found: Found): void {
    const page = this.#read(number, this.#page, LEAF);
    let used = 0;
    for (let at = PAGE_HEADER_BYTES; at < this.#nodesEnd(number); at += 2) {
      const node = this.#nodeAt(number, at);
      const bytes = page.readUInt32LE(node);
      const isBig = page.readUInt16LE(node + NODE_FLAGS_AT) === BIG_DATA;
      used += this.#roomOf(number, node, isBig ? OVERFLOW_REF_BYTES : bytes);
      if (isBig) found.overflowPages += this.#checkOverflow(number, node, bytes);
      found.entries += 1;
    }
    this.#expectFull(number, used);
  }

  expect(what: string, found: number, counted: number): void {
    if (found === counted) return;
    throw corrupt(this.#file.path, `${found} of its ${counted} ${what} are found`);
  }

  #read(number: number, into: Buffer, kind: number): Buffer {
    const { pageBytes, pages, transaction } = this.#file;
    const isInside = number > 1 && number < pages;
    const read = isInside ? readSync(this.#handle, into, 0, into.length, number * pageBytes) : 0;
    const isWhole =
      read === into.length &&
      numberAt(into, 0) === number &&
      numberAt(into, WRITTEN_BY_AT) <= transaction &&
      (into.readUInt16LE(FLAGS_AT) & KIND_FLAGS) === kind;
    if (!isWhole) throw this.#damaged(number);
    return into;
  }

  /** Where the list of the page's nodes ends. */
  #nodesEnd(number: number): number {
    const lower = this.#page.readUInt16LE(LOWER_AT);
    const upper = this.#page.readUInt16LE(UPPER_AT);
    const { pageBytes } = this.#file;
    if (lower % 2 === 1 || lower > upper || upper > pageBytes - PAGE_HEADER_BYTES) {
      throw this.#damaged(number);
    }
    return PAGE_HEADER_BYTES + lower;
  }

  #nodeAt(number: number, at: number): number {
    const node = PAGE_HEADER_BYTES + this.#page.readUInt16LE(at);
    const isInside =
      node >= PAGE_HEADER_BYTES + this.#page.readUInt16LE(UPPER_AT) &&
      node + NODE_HEADER_BYTES <= this.#page.length;
    if (!isInside) throw this.#damaged(number);
    return node;
  }

  #roomOf(number: number, node: number, dataBytes: number): number {
    const bytes = NODE_HEADER_BYTES + this.#page.readUInt16LE(node + KEY_BYTES_AT) + dataBytes;
    if (node + bytes > this.#page.length) throw this.#damaged(number);
    return bytes + (bytes % 2);
  }

  /** Between its list and its nodes a page is empty, and nowhere else. */
  #expectFull(number: number, used: number): void {
    const room = this.#page.length - PAGE_HEADER_BYTES - this.#page.readUInt16LE(UPPER_AT);
    if (used !== room) throw this.#damaged(number);
  }

  #checkOverflow(number: number, node: number, bytes: number): number {
    const ref = node + NODE_HEADER_BYTES + this.#page.readUInt16LE(node + KEY_BYTES_AT);
    const first = numberAt(this.#page, ref);
    const count = numberAt(this.#page, ref + 16);
    const { pageBytes, pages } = this.#file;
    const isLongEnough = count * pageBytes >= PAGE_HEADER_BYTES + bytes && first + count <= pages;
    const overflow = this.#read(first, this.#overflow, OVERFLOW);
    const isWhole = isLongEnough && overflow.readUInt32LE(OVERFLOW_COUNT_AT) === count;
    if (!isWhole) throw this.#damaged(number);
    return count;
  }

  #damaged(number: number) {
    return corrupt(this.#file.path, `its page ${number} is damaged`);
  }
}

/** Past 2^53 it is not exact, and no place in any file. */
function numberAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
