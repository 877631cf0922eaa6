/** What the commit log holds beyond the database, read when a store is opened. It changes nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../../errors.ts';
import type { BytesReader, Link } from '../head.ts';
import { followsHead } from '../journal.ts';
import { LOG_FILES } from './commit-log.ts';
import { DATA_FILE } from './data-file.ts';
import { BLOCK_BYTES, type LogRecord, nameAt, placesIn, readRecord, rowAt } from './log-record.ts';
import type { NamedRows, Overlay } from './overlay.ts';
import { RowMap } from './row-map.ts';

export type LogImages = readonly Buffer[];

/** Read this first and the database's head after it: what the database took meanwhile is then merely known twice. */
export function readLog(directory: string): LogImages {
  return LOG_FILES.map((name) => {
    try {
      return readFileSync(join(directory, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    }
  });
}

/** The commits after `head`, the last link of the journal that the database has, as rows over it. */
export class Unmoved implements Overlay, NamedRows {
  readonly #rows = new RowMap<UnmovedRow>();
  /** Of its last commit; the head's where there is none. */
  readonly lastSequence: number;

  /** Throws `store_corrupt` where a commit is missing that was durable once, or the log is another store's. */
  constructor(images: LogImages, head: Link) {
    let last = head.sequence;
    for (const { image, records } of runsOf(images)) {
      for (const record of records) {
        if (record.sequence <= last) continue;
        if (record.sequence !== last + 1) break;
        last = record.sequence;
        for (const place of placesIn(image, record)) this.#take(image, place);
      }
    }
    this.lastSequence = last;
    const reader: BytesReader = { get: (table, key) => this.get(table, key) ?? undefined };
    const isOurs = last === head.sequence || followsHead(reader, head);
    if (!isOurs || images.some((image) => holdsLater(image, last))) throw gap(last + 1);
  }

  get(table: string, key: string): Uint8Array | null | undefined {
    const row = this.#rows.get(table, key);
    return row === undefined ? undefined : (row.bytes ?? null);
  }

  keys(table: string): Iterable<string> {
    return this.#rows.keys(table);
  }

  get size(): number {
    return this.#rows.size;
  }

  forEach(visit: (row: Uint8Array | undefined, name: Buffer) => void): void {
    this.#rows.forEach(({ bytes, name }) => {
      visit(bytes, name);
    });
  }

  #take(image: Buffer, place: number): void {
    const name = nameAt(image, place);
    const tableEnd = name.indexOf(0);
    const table = name.toString('utf8', 0, tableEnd);
    const key = name.toString('utf8', tableEnd + 1);
    this.#rows.set(table, key, { name, bytes: rowAt(image, place) });
  }
}

interface UnmovedRow {
  readonly name: Buffer;
  /** Undefined where it was removed. */
  readonly bytes: Uint8Array | undefined;
}

interface Run {
  readonly image: Buffer;
  /** From the file's start, each the commit after the one before; what follows was there before them, or is torn. */
  readonly records: readonly LogRecord[];
}

/** In the order of their commits. */
function runsOf(images: LogImages): readonly Run[] {
  const runs = images.map((image): Run => {
    const records: LogRecord[] = [];
    for (let at = 0; ; ) {
      const record = readRecord(image, at);
      const before = records.at(-1);
      if (record === undefined) break;
      if (before !== undefined && record.sequence !== before.sequence + 1) break;
      records.push(record);
      at = record.end;
    }
    return { image, records };
  });
  return runs.sort((a, b) => (a.records[0]?.sequence ?? 0) - (b.records[0]?.sequence ?? 0));
}

/** An append begins when the one before is durable: behind a torn record no later one is whole, behind a damaged one it is. */
function holdsLater(image: Buffer, sequence: number): boolean {
  for (let at = 0; at < image.length; at += BLOCK_BYTES) {
    const record = readRecord(image, at);
    if (record !== undefined && record.sequence > sequence) return true;
  }
  return false;
}

function gap(sequence: number): RuntimeError {
  return new RuntimeError(
    'store_corrupt',
    `the commit log (${LOG_FILES.join(', ')}) does not go on where ${DATA_FILE} ends: journal entry ${sequence} is not whole or of another store, and later ones are there. Nothing was changed. Restore a backup into an empty directory: ${DATA_FILE} with the log of another time beside it is no store`,
  );
}
