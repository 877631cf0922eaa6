/** Ports in memory: what one end posts waits, as bytes or as a copy, until the machine lets the other end hear it. */
import type { LinkPorts, Port } from '../../link/port.ts';
import type { VirtualThread } from './virtual-thread.ts';

/** What a port carries may be changed on its way: a test's own fault. Each value of the list is delivered. */
export type Tamper = (value: unknown) => readonly unknown[];

/** Stands for the close of the other end, behind all that it had posted. */
const CLOSED = Symbol('closed');

export class VirtualPort implements Port {
  owner: VirtualThread | undefined;
  /** Not heard before this step of the machine. */
  heldUntil = 0;
  /** Messages in the frames that wait to be heard, and in the credits. */
  messages = 0;
  credits = 0;
  readonly number: number;
  readonly #tamper: Tamper | undefined;
  #peer: VirtualPort | undefined = undefined;
  readonly #waiting: unknown[] = [];
  #hear: ((value: unknown) => void) | undefined = undefined;
  #hearClose: (() => void) | undefined = undefined;
  isClosed = false;

  constructor(number: number, owner: VirtualThread | undefined, tamper: Tamper | undefined) {
    this.number = number;
    this.owner = owner;
    this.#tamper = tamper;
    owner?.ports.push(this);
  }

  static pair(ports: readonly [VirtualPort, VirtualPort]): void {
    const [one, other] = ports;
    one.#peer = other;
    other.#peer = one;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0 && this.#hear !== undefined;
  }

  /** It is in another thread's hands now. */
  moveTo(owner: VirtualThread): void {
    this.owner = owner;
    owner.ports.push(this);
    if (owner.isOver) this.close();
  }

  on(event: 'message' | 'messageerror', hear: (value: unknown) => void): this {
    if (event === 'message') this.#hear = hear;
    return this;
  }

  once(_event: 'close', hear: () => void): this {
    this.#hearClose = hear;
    return this;
  }

  postMessage(value: unknown): void {
    if (this.isClosed) return;
    const copy = copyOf(value);
    for (const one of this.#tamper?.(copy) ?? [copy]) this.#peer?.take(one);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#waiting.length = 0;
    this.messages = 0;
    this.credits = 0;
    this.#peer?.take(CLOSED);
  }

  /** The next one is heard. */
  deliver(): void {
    const value = this.#waiting.shift();
    if (value === CLOSED) {
      this.isClosed = true;
      this.#hearClose?.();
      return;
    }
    this.messages -= messagesIn(value);
    this.credits -= creditIn(value);
    this.#hear?.(value);
  }

  /** Waits from now. */
  take(value: unknown): void {
    if (this.isClosed) return;
    this.#waiting.push(value);
    this.messages += messagesIn(value);
    this.credits += creditIn(value);
  }
}

export interface VirtualPorts extends LinkPorts {
  readonly data: VirtualPort;
  readonly control: VirtualPort;
}

/** Read from the frame's own first bytes: how long its list of triples is. */
function messagesIn(value: unknown): number {
  if (Array.isArray(value)) return value.length / 3;
  const frame = typeof value === 'string' ? value : (value as { frame?: string } | null)?.frame;
  if (frame === undefined) return 0;
  const first = frame.charCodeAt(0);
  if (first === 0xdc) return ((frame.charCodeAt(1) << 8) | frame.charCodeAt(2)) / 3;
  return first >= 0x90 && first <= 0x9f ? (first & 0x0f) / 3 : 0;
}

function creditIn(value: unknown): number {
  const { type, messages } = (value ?? {}) as { type?: unknown; messages?: unknown };
  return type === 'credit' ? (messages as number) : 0;
}

/** As the platform copies it: plain data anew, binaries as they are, for they were given away. */
export function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const copy: Record<string, unknown> = {};
  for (const key in value) copy[key] = copyOf((value as Record<string, unknown>)[key]);
  return copy;
}
