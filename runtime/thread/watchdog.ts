/** Watches one thread through its page: a loop that does not turn, memory that V8's own limit does not count. */
import type { Host, Timer } from '../host/host.ts';
import type { FlightRecorder, Recording } from './flight-recorder.ts';

export interface WatchdogLimits {
  /** A loop that has not turned for so long is reported. */
  readonly stallWarnMs: number;
  /** …and for so long, its thread is ended. */
  readonly stallKillMs: number;
  /** Memory of buffers, beside the heap. */
  readonly maxExternalMb: number;
}

export interface WatchdogReport {
  stalled(forMs: number, recording: Recording): void;
  /** The thread has to end, with this code. */
  bites(code: 'thread_stalled' | 'external_memory'): void;
}

const BYTES_PER_MB = 1_048_576;
/** Memory can grow by a gigabyte in a second. */
const LONGEST_LOOK_MS = 250;

export class Watchdog {
  readonly #host: Host;
  readonly #limits: WatchdogLimits;
  readonly #report: WatchdogReport;
  #timer: Timer | undefined = undefined;
  #lastBeat = 0;
  #turnedAtMs = 0;
  #hasWarned = false;

  constructor(host: Host, limits: WatchdogLimits, report: WatchdogReport) {
    this.#host = host;
    this.#limits = limits;
    this.#report = report;
  }

  watch(page: FlightRecorder): void {
    this.#lastBeat = page.heartbeat;
    this.#turnedAtMs = this.#host.monotonicMs();
    this.#hasWarned = false;
    this.#plan(page);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #plan(page: FlightRecorder): void {
    const { stallWarnMs, stallKillMs } = this.#limits;
    const lookMs = Math.min(LONGEST_LOOK_MS, stallWarnMs / 4, stallKillMs / 4);
    this.#timer = this.#host.setTimer(lookMs, () => {
      this.#timer = undefined;
      if (this.#look(page)) this.#plan(page);
    });
  }

  /** False when there is no need to look again. */
  #look(page: FlightRecorder): boolean {
    const { stallWarnMs, stallKillMs, maxExternalMb } = this.#limits;
    if (page.externalBytes > maxExternalMb * BYTES_PER_MB) {
      this.#report.bites('external_memory');
      return false;
    }
    const nowMs = this.#host.monotonicMs();
    if (page.heartbeat !== this.#lastBeat) {
      this.#lastBeat = page.heartbeat;
      this.#turnedAtMs = nowMs;
      this.#hasWarned = false;
      return true;
    }
    const forMs = nowMs - this.#turnedAtMs;
    if (forMs >= stallWarnMs && !this.#hasWarned) {
      this.#hasWarned = true;
      this.#report.stalled(forMs, page.read());
    }
    if (forMs < stallKillMs) return true;
    this.#report.bites('thread_stalled');
    return false;
  }
}
