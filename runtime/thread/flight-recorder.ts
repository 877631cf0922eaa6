/**
 * A page of shared memory per thread: a heartbeat, and which actor is handling which message. It outlives the thread.
 * Written by its thread, read by the main thread after a loss.
 */
const HEARTBEAT = 0;
const ACTOR = 1;
const INCARNATION = 2;
const KIND = 3;
const MESSAGES = 4;
const SUBJECT_BYTES = 5;
/** In units of 4 KiB. */
const EXTERNAL = 6;
const EXTERNAL_UNIT = 4_096;
const HEADER_BYTES = 64;
const LONGEST_SUBJECT_BYTES = 64;

export interface Recording {
  /** 0 when no actor was running. */
  readonly actor: number;
  readonly incarnation: number;
  readonly subject: string;
}

export class FlightRecorder {
  readonly page: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #subject: Uint8Array;

  constructor(page?: SharedArrayBuffer) {
    this.page = page ?? new SharedArrayBuffer(HEADER_BYTES + LONGEST_SUBJECT_BYTES);
    this.#words = new Int32Array(this.page, 0, HEADER_BYTES / 4);
    this.#subject = new Uint8Array(this.page, HEADER_BYTES, LONGEST_SUBJECT_BYTES);
  }

  beat(externalBytes: number): void {
    this.#words[EXTERNAL] = externalBytes / EXTERNAL_UNIT;
    Atomics.add(this.#words, HEARTBEAT, 1);
  }

  /** Of the thread's buffers, at its last beat. */
  get externalBytes(): number {
    return (this.#words[EXTERNAL] ?? 0) * EXTERNAL_UNIT;
  }

  get heartbeat(): number {
    return Atomics.load(this.#words, HEARTBEAT);
  }

  /** An actor's slice begins. */
  enter(actor: number, incarnation: number): void {
    this.#words[ACTOR] = actor;
    this.#words[INCARNATION] = incarnation;
    this.#words[SUBJECT_BYTES] = 0;
  }

  message(kind: number): void {
    this.#words[KIND] = kind;
    this.#words[MESSAGES] = ((this.#words[MESSAGES] ?? 0) + 1) | 0;
  }

  /** Durable ids are ASCII; other characters come out changed. */
  subject(id: string): void {
    const length = Math.min(id.length, LONGEST_SUBJECT_BYTES);
    // Most are a ULID long: a call into native code takes longer.
    for (let i = 0; i < length; i += 1) this.#subject[i] = id.charCodeAt(i);
    this.#words[SUBJECT_BYTES] = length;
  }

  leave(): void {
    this.#words[ACTOR] = 0;
  }

  currentSubject(): string {
    const length = this.#words[SUBJECT_BYTES] ?? 0;
    return String.fromCharCode(...this.#subject.subarray(0, length));
  }

  read(): Recording {
    const actor = this.#words[ACTOR] ?? 0;
    return {
      actor,
      incarnation: this.#words[INCARNATION] ?? 0,
      subject: actor === 0 ? '' : this.currentSubject(),
    };
  }
}
