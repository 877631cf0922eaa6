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
  readonly #subject: Buffer;

  constructor(page?: SharedArrayBuffer) {
    this.page = page ?? new SharedArrayBuffer(HEADER_BYTES + LONGEST_SUBJECT_BYTES);
    this.#words = new Int32Array(this.page, 0, HEADER_BYTES / 4);
    this.#subject = Buffer.from(this.page, HEADER_BYTES, LONGEST_SUBJECT_BYTES);
  }

  beat(): void {
    Atomics.add(this.#words, HEARTBEAT, 1);
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
    this.#words[SUBJECT_BYTES] = id === '' ? 0 : this.#subject.write(id, 'latin1');
  }

  leave(): void {
    this.#words[ACTOR] = 0;
  }

  currentSubject(): string {
    const length = this.#words[SUBJECT_BYTES] ?? 0;
    return length === 0 ? '' : this.#subject.toString('latin1', 0, length);
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
