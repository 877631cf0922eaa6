/** One of the two files of the commit log, with its image in memory: what is appended is durable before it can be read. */
import { constants, write } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { nameAt, RecordWriter, rowAt } from './log-record.ts';
import type { NamedRows } from './overlay.ts';
import { RowMap } from './row-map.ts';

/** A file with so many rows is full: they are handed to the database in one turn. */
const MAX_ROWS = 4_096;

// On Linux the write itself is durable; elsewhere a flush follows it, which on macOS means more than the flag does.
const DURABLE_WRITES = process.platform === 'linux' ? constants.O_DSYNC : 0;

export class LogFile implements NamedRows {
  readonly #file: FileHandle;
  /** It holds so much, or one commit that is larger. */
  readonly #maxBytes: number;
  /** What was appended since the file was last begun anew, at the same places as in the file. */
  #image: Buffer | undefined;
  #end = 0;
  #fileBytes = 0;
  /** Of each row's last write. */
  readonly #places = new RowMap<number>();

  /** A new file in the place of one that was there: a write that a dead process has left hanging cannot reach it. */
  static async create(path: string, maxBytes: number): Promise<LogFile> {
    await rm(path, { force: true });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | DURABLE_WRITES;
    return new LogFile(await open(path, flags, 0o600), maxBytes);
  }

  private constructor(file: FileHandle, maxBytes: number) {
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  /** It grows, and is written again from its start. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** It takes a record of any length. */
  get isEmpty(): boolean {
    return this.#end === 0;
  }

  /** In the image that it has, and without lengthening the file. */
  hasRoom(room: number): boolean {
    if (this.#image === undefined || this.#end + room > this.#maxBytes) return false;
    return this.size < MAX_ROWS;
  }

  /** The record of the next commit, with so much room; the file does not have it before it is appended. */
  begin(room: number): RecordWriter {
    return new RecordWriter(this.#imageFor(room), this.#end);
  }

  /** Takes the record that was begun last; settles when it is on the medium. One at a time. */
  async append(record: RecordWriter, sequence: number): Promise<void> {
    const end = record.seal(sequence);
    await this.#write(record.image, this.#end, end);
    this.#places.setAll(record.places);
    this.#end = end;
    this.#fileBytes = Math.max(this.#fileBytes, end);
  }

  has(table: string, key: string): boolean {
    return this.#places.get(table, key) !== undefined;
  }

  get(table: string, key: string): Uint8Array | null | undefined {
    const place = this.#places.get(table, key);
    if (place === undefined || this.#image === undefined) return undefined;
    return rowAt(this.#image, place) ?? null;
  }

  keys(table: string): Iterable<string> {
    return this.#places.keys(table);
  }

  get size(): number {
    return this.#places.size;
  }

  /** The last write of each row; the bytes stay as they are until the file is begun anew. */
  forEach(visit: (row: Uint8Array | undefined, name: Buffer) => void): void {
    const image = this.#image;
    if (image === undefined) return;
    this.#places.forEach((place) => {
      visit(rowAt(image, place), nameAt(image, place));
    });
  }

  /** The next record goes to the start, over records that the database has. */
  async beginAnew(): Promise<void> {
    this.#places.clear();
    this.#end = 0;
    if ((this.#image?.length ?? 0) > this.#maxBytes) this.#image = undefined;
    if (this.#fileBytes <= this.#maxBytes) return;
    await this.#file.truncate(this.#maxBytes);
    this.#fileBytes = this.#maxBytes;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #imageFor(room: number): Buffer {
    const bytes = Math.max(this.#maxBytes, this.#end + room);
    if (this.#image === undefined || this.#image.length < bytes) {
      this.#image = Buffer.allocUnsafeSlow(bytes);
    }
    return this.#image;
  }

  async #write(image: Buffer, from: number, end: number): Promise<void> {
    for (let at = from; at < end; ) {
      const written = await writeAt(this.#file.fd, image, at, end);
      if (written === 0) throw new Error('the file takes no more');
      at += written;
    }
    if (DURABLE_WRITES === 0) await this.#file.datasync();
  }
}

/** One turn through the thread pool; a full disk may take a part. */
function writeAt(fd: number, image: Buffer, at: number, end: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, image, at, end - at, at, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}
