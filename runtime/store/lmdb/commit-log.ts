/**
 * The log before the database: a commit is one append of its writes to one of two files, and durable with it. A full file's
 * rows are moved to the database in one transaction, each row once however often it was written, while the other file takes
 * the commits. A start moves what was not moved; nothing is lost between the two, because a file is begun anew only when
 * the database has what it holds.
 */
import { join } from 'node:path';
import { LogFile } from './log-file.ts';
import type { RecordWriter } from './log-record.ts';
import type { NamedRows, Overlay } from './overlay.ts';

/** Writes all of the rows to the database, or none; settles when they are durable. */
export type MoveRows = (rows: NamedRows) => Promise<void>;

export const LOG_FILES = ['commits-0.log', 'commits-1.log'] as const;

export class CommitLog implements Overlay {
  readonly #move: MoveRows;
  #active: LogFile;
  /** Its rows are on their way to the database, or there. */
  #other: LogFile;
  #moving: Promise<void> = Promise.resolve();
  #appends = 0;
  #failure: unknown;

  /** For a database that has all that the log before this one holds: its files are replaced. */
  static async create(directory: string, fileBytes: number, move: MoveRows): Promise<CommitLog> {
    const [first, second] = LOG_FILES;
    const active = await LogFile.create(join(directory, first), fileBytes);
    try {
      return new CommitLog(active, await LogFile.create(join(directory, second), fileBytes), move);
    } catch (error) {
      await active.close();
      throw error;
    }
  }

  private constructor(first: LogFile, second: LogFile, move: MoveRows) {
    this.#active = first;
    this.#other = second;
    this.#move = move;
  }

  get appends(): number {
    return this.#appends;
  }

  get fileBytes(): number {
    return this.#active.fileBytes + this.#other.fileBytes;
  }

  get(table: string, key: string): Uint8Array | null | undefined {
    const bytes = this.#active.get(table, key);
    return bytes === undefined ? this.#other.get(table, key) : bytes;
  }

  *keys(table: string): Generator<string> {
    yield* this.#active.keys(table);
    for (const key of this.#other.keys(table)) if (!this.#active.has(table, key)) yield key;
  }

  /** False where room must be made first. */
  hasRoom(room: number): boolean {
    return this.#failure === undefined && this.#active.hasRoom(room);
  }

  /** For a record of any length, in an empty file; rejects where an earlier move failed. */
  async makeRoom(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#active.isEmpty) await this.#turn();
  }

  /** The record of the next commit, with so much room. */
  begin(room: number): RecordWriter {
    return this.#active.begin(room);
  }

  /** Takes the record that was begun last; settles when it is durable, rejects where it may not be. One at a time. */
  async append(record: RecordWriter, sequence: number): Promise<void> {
    await this.#active.append(record, sequence);
    this.#appends += 1;
  }

  /** Settles when the database has everything. No append meanwhile. */
  async drain(): Promise<void> {
    await this.#turn();
    await this.#moving;
  }

  async close(): Promise<void> {
    await Promise.all([this.#active.close(), this.#other.close()]);
  }

  /** Appends go to the other file from here. */
  async #turn(): Promise<void> {
    await this.#moving;
    const full = this.#active;
    this.#active = this.#other;
    this.#other = full;
    this.#moving = this.#move(full).then(() => full.beginAnew());
    this.#moving.catch((error: unknown) => {
      this.#failure = error;
    });
  }
}
