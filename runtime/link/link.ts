/** One way to one other thread: a data port with batched frames under credits, and a control port beside it. */
import type { AskCode } from '../errors.ts';
import { ASK_CODES, codeOf } from '../errors.ts';
import { type AskEnvelope, isAsk } from '../kernel/asks.ts';
import type { Cell } from '../kernel/cell.ts';
import { type KindEntry, LATE } from '../kernel/compiled.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { pathOf } from '../kernel/ref.ts';
import { awaitRoom, READY } from '../kernel/room-line.ts';
import { pack } from '../transfer.ts';
import type { ControlMessage } from './control-message.ts';
import { Credits } from './credits.ts';
import { isFlat } from './flat.ts';
import {
  buffersOf,
  checkTriples,
  DEFINE_ONLY,
  FAILURE_ROUTE,
  FORGET,
  FrameCodec,
  REPLY_ROUTE,
  sizeOf,
  UNNUMBERED,
  type WireFrame,
  type WireMeta,
  type WireRoute,
} from './frame.ts';
import { FrameSize } from './frame-size.ts';
import type { Outbound } from './outbound.ts';
import type { LinkPorts } from './port.ts';
import { SendQueue } from './send-queue.ts';

/** What the name of a route counts for that is sent unpacked, without a message. */
const DEFINITION_BYTES = 256;
/** Routes are numbered up to here; those after it go by their names. */
const ROUTE_LIMIT = 65_536;
/** Numbers that one message frees. */
const FORGOTTEN_AT_ONCE = 1_024;

interface Inbound {
  readonly address: string;
  readonly kind: string;
  cell: Cell | undefined;
  entry: KindEntry | undefined;
  /** The frame of which the other side has heard that a message was refused. */
  refusedIn: number;
}

export class Link {
  readonly slot: number;
  readonly #ports: LinkPorts;
  readonly #kernel: Kernel;
  #onControl: (message: ControlMessage, link: Link) => void;
  readonly #codec = new FrameCodec();
  readonly #frameSize = new FrameSize();
  readonly #credits = new Credits();
  #lastRoute = 0;
  /** Numbers whose route was given back, and those of which the other side is told at the end of the turn. */
  readonly #freeRoutes: number[] = [];
  #retired: number[] = [];
  readonly #inbound = new Map<number, Inbound>();
  readonly #queue = new SendQueue();
  #isClosed = false;
  #isFlushing = false;
  #isUnreadable = false;

  constructor(
    slot: number,
    ports: LinkPorts,
    kernel: Kernel,
    onControl: (message: ControlMessage, link: Link) => void,
  ) {
    this.slot = slot;
    this.#ports = ports;
    this.#kernel = kernel;
    this.#onControl = onControl;
    ports.data.on('message', (data: unknown) => this.#receive(data));
    ports.data.on('messageerror', () => this.#unreadable());
    ports.control.on('message', (message) => this.#control(message as ControlMessage));
  }

  /** Calls back once the other end has gone, however it went. */
  onClose(tell: () => void): void {
    this.#ports.data.once('close', tell);
  }

  /** False when the queue is full or the link closed. */
  send(to: Outbound, kind: string, payload: unknown, meta: WireMeta): boolean {
    if (this.#isClosed || this.#queue.refuses(kind, payload)) {
      this.#kernel.counters.refused += 1;
      return false;
    }
    this.#push(to.routes.get(kind) ?? this.#define(to, kind), meta, payload);
    return true;
  }

  /** Nobody sends over it any more: the other side need not remember it. */
  giveBack({ routes }: Outbound): void {
    if (this.#isClosed) return;
    this.#retired.push(...routes.values());
    routes.clear();
    this.#kernel.scheduler.wake();
  }

  control(message: ControlMessage): void {
    if (!this.#isClosed) this.#ports.control.postMessage(message);
  }

  /** End of a turn: sends what the credits allow, and gives credit for what was taken in. */
  flush(): void {
    this.#giveCredit();
    if (this.#retired.length > 0) this.#tellRetired();
    // What a message sends while it is read leaves behind it.
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      while (this.#queue.length > 0 && this.#credits.left > 0 && !this.#isClosed) this.#sendSome();
    } finally {
      this.#isFlushing = false;
    }
  }

  close(): void {
    this.#isClosed = true;
    // A ref may remember a way over it for ever.
    this.#onControl = () => undefined;
    const left = this.#queue.takeAll();
    for (let i = 0; i < left.length; i += 3) this.#drop(left, i, 'thread_lost');
    this.#ports.data.close();
    this.#ports.control.close();
  }

  get owed(): Credits['owed'] {
    return this.#credits.owed;
  }

  /** Together: thousands of actors that end in one turn leave others room in the queue. */
  #tellRetired(): void {
    const retired = this.#retired;
    this.#retired = [];
    for (let from = 0; from < retired.length; from += FORGOTTEN_AT_ONCE) {
      const numbers = retired.slice(from, from + FORGOTTEN_AT_ONCE);
      this.#queue.push(REPLY_ROUTE, FORGET, numbers);
      this.#freeRoutes.push(...numbers);
    }
  }

  #sendSome(): void {
    const count = Math.min(this.#credits.left, this.#frameSize.messages, this.#queue.length);
    const triples = this.#queue.take(count);
    this.#post(this.#refreshed(triples), triples.length / 3);
  }

  /** What waited here: an ask that has ended is not sent, another one says what is left of its time. */
  #refreshed(triples: unknown[]): unknown[] {
    for (let i = 1; i < triples.length; i += 3) {
      const meta = triples[i];
      if (!Array.isArray(meta)) continue;
      const leftMs = this.#kernel.asks.leftMs(meta[0] as number);
      if (leftMs !== undefined) meta[1] = leftMs;
      else {
        triples[i] = DEFINE_ONLY;
        triples[i + 1] = null;
      }
    }
    return triples;
  }

  #push(route: WireRoute, meta: unknown, payload: unknown): void {
    this.#queue.push(route, meta, payload);
    if (this.#queue.length >= this.#frameSize.messages) this.flush();
    const { scheduler } = this.#kernel;
    if (scheduler.isRunning) return;
    // The first one of a turn finds nobody to wait for; those after it leave together at its end.
    if (!scheduler.isTurnPlanned) this.flush();
    scheduler.wake();
  }

  #define(to: Outbound, kind: string): WireRoute {
    const route = this.#freeRoutes.pop() ?? this.#nextRoute();
    if (route !== UNNUMBERED) to.routes.set(kind, route);
    return [route, to.address, kind];
  }

  #nextRoute(): number {
    if (this.#lastRoute >= ROUTE_LIMIT) return UNNUMBERED;
    this.#lastRoute += 1;
    return this.#lastRoute;
  }

  #post(triples: unknown[], count: number): void {
    try {
      if (count === 1 && isFlat(triples[2])) {
        this.#ports.data.postMessage(triples);
        this.#sent(1, DEFINITION_BYTES);
        return;
      }
      const wire = this.#codec.encode(triples);
      const { frame, beside } = wire;
      this.#ports.data.postMessage(beside.length === 0 ? frame : wire, buffersOf(wire));
      this.#sent(count, sizeOf(wire));
      this.#frameSize.sent(count, frame.length);
    } catch (error) {
      this.#codec.forget();
      if (count === 1) {
        this.#drop(triples, 0, 'not_encodable', codeOf(error));
        return;
      }
      // One of them cannot be encoded: alone, each shows whether it is the one.
      for (let i = 0; i < triples.length; i += 3) this.#post(triples.slice(i, i + 3), 1);
    }
  }

  #sent(messages: number, bytes: number): void {
    this.#credits.sent(messages, bytes);
    this.#kernel.counters.frames_sent += 1;
    this.#kernel.counters.messages_sent += messages;
  }

  /** A message that never left: its asker hears it at once. */
  #drop(triples: readonly unknown[], at: number, code: AskCode, detail = ''): void {
    const route = triples[at] as WireRoute;
    const meta = triples[at + 1];
    if (meta === FORGET) return;
    const [, address, kind] =
      typeof route === 'number' ? [0, `slot ${this.slot}`, String(route)] : route;
    // The other side has to learn the number all the same: later messages use it.
    if (typeof route !== 'number') {
      this.#ports.data.postMessage([route, DEFINE_ONLY, null]);
      // It gives credit like any other.
      this.#sent(1, DEFINITION_BYTES);
    }
    if (Array.isArray(meta)) this.#kernel.asks.fail(meta[0] as number, code, detail);
    else if (route === REPLY_ROUTE) {
      this.#push(FAILURE_ROUTE, meta, ['not_encodable', detail]);
      return;
    }
    this.#kernel.deadLetter(address, kind, code);
  }

  /** Only enqueues; then one slice of the scheduler runs at once, so that the answers leave in this turn. */
  #receive(data: unknown): void {
    if (this.#isUnreadable) {
      this.#kernel.deadLetter(`slot ${this.slot}`, '', 'bad_frame');
      return;
    }
    let triples: unknown[];
    let bytes = DEFINITION_BYTES;
    try {
      if (Array.isArray(data)) triples = checkTriples(data);
      else {
        const wire = typeof data === 'string' ? { frame: data, beside: [] } : (data as WireFrame);
        triples = this.#codec.decode(wire);
        bytes = sizeOf(wire);
      }
    } catch {
      this.#unreadable();
      return;
    }
    const count = triples.length / 3;
    this.#kernel.counters.frames_received += 1;
    this.#kernel.counters.messages_received += count;
    for (let i = 0; i < triples.length; i += 3)
      this.#take(triples[i] as WireRoute, triples[i + 1], triples[i + 2]);
    this.#credits.taken(count, bytes);
    this.#kernel.scheduler.runNow();
    // Always at once it would let a flood keep this thread from its timers: a port gives all that it has in one turn.
    if (this.#kernel.scheduler.isTurnYoung) this.#giveCredit();
    else if (this.#credits.isDue) this.#kernel.scheduler.wake();
    // One that came alone is answered at once.
    if (count === 1) this.#kernel.remotes?.flush();
  }

  /** Later frames name the shapes that this one had: nothing from that thread can be read any more. */
  #unreadable(): void {
    this.#isUnreadable = true;
    this.#kernel.deadLetter(`slot ${this.slot}`, '', 'bad_frame');
    this.control({ type: 'unreadable' });
  }

  #take(route: WireRoute, meta: unknown, payload: unknown): void {
    if (meta === DEFINE_ONLY) {
      this.#inboundOf(route);
      return;
    }
    if (meta === FORGET) {
      for (const number of payload as number[]) this.#inbound.delete(number);
      return;
    }
    if (route === REPLY_ROUTE) {
      this.#kernel.asks.resolve(meta as number, payload);
      return;
    }
    if (route === FAILURE_ROUTE) {
      const [code, detail] = payload as [string, string];
      const known = ASK_CODES.find((candidate) => candidate === code) ?? 'refused';
      this.#kernel.asks.fail(meta as number, known, detail);
      return;
    }
    const inbound = this.#inboundOf(route);
    const envelope = Array.isArray(meta)
      ? this.#toEnvelope(meta as [number, number, string | 0, string[]])
      : meta === 0
        ? undefined
        : (meta as string);
    if (inbound === undefined) {
      this.#kernel.deadLetter(`slot ${this.slot}`, '', 'bad_frame');
      this.#refuse(envelope, 'actor_dead', 'unknown route');
      return;
    }
    this.#deliver(inbound, payload, envelope);
  }

  #deliver(inbound: Inbound, payload: unknown, envelope: AskEnvelope | string | undefined): void {
    const { address, kind } = inbound;
    if (inbound.cell === undefined || inbound.cell.status === 'gone') {
      inbound.cell = this.#kernel.find({ address });
      inbound.entry = undefined;
    }
    const { cell } = inbound;
    if (cell === undefined) {
      this.#kernel.deadLetter(address, kind, 'no_such_actor');
      this.#refuse(envelope, 'actor_dead', `no such actor: ${address}`);
      this.control({ type: 'gone', path: pathOf(address) });
      return;
    }
    if (inbound.entry === undefined || inbound.entry.index === LATE) {
      inbound.entry = this.#kernel.entryOf(cell, kind, true);
    }
    if (inbound.entry === undefined) {
      if (kind === READY && isAsk(envelope)) {
        awaitRoom(cell, envelope);
        return;
      }
      this.#kernel.deadLetter(address, kind, 'unknown_kind');
      this.#refuse(envelope, 'unknown_kind', `${address} handles no '${kind}'`);
      return;
    }
    if (cell.enqueue(inbound.entry, payload, envelope)) return;
    this.#kernel.deadLetter(address, kind, 'mailbox_full');
    this.#refuse(envelope, 'mailbox_full', 'its mailbox refuses');
    const { frames_received: frame } = this.#kernel.counters;
    if (inbound.refusedIn !== frame) this.control({ type: 'full', address });
    inbound.refusedIn = frame;
  }

  #inboundOf(route: WireRoute): Inbound | undefined {
    if (typeof route === 'number') return this.#inbound.get(route);
    const [id, address, kind] = route;
    const inbound: Inbound = { address, kind, cell: undefined, entry: undefined, refusedIn: 0 };
    if (id !== UNNUMBERED) this.#inbound.set(id, inbound);
    return inbound;
  }

  #refuse(envelope: AskEnvelope | string | undefined, code: AskCode, detail: string): void {
    if (isAsk(envelope)) envelope.fail(code, detail);
  }

  #toEnvelope([id, inMs, trace, chain]: readonly [
    number,
    number,
    string | 0,
    readonly string[],
  ]): AskEnvelope {
    return {
      isAsk: true,
      deadlineMs: this.#kernel.host.monotonicMs() + inMs,
      trace: trace === 0 ? undefined : trace,
      chain,
      reply: (value) => this.#reply(id, value),
      fail: (code, detail) => this.#answer(FAILURE_ROUTE, id, [code, detail]),
    };
  }

  #reply(id: number, value: unknown): void {
    try {
      this.#answer(REPLY_ROUTE, id, pack(value));
    } catch (error) {
      this.#answer(FAILURE_ROUTE, id, ['not_encodable', codeOf(error)]);
    }
  }

  /** Replies are bounded by the asks that the other side has open: no limit refuses them. */
  #answer(route: number, id: number, payload: unknown): void {
    if (!this.#isClosed) this.#push(route, id, payload);
  }

  #giveCredit(): void {
    if (this.#credits.isDue) this.control({ type: 'credit', ...this.#credits.give() });
  }

  #control(message: ControlMessage): void {
    if (message.type !== 'credit') {
      this.#onControl(message, this);
      return;
    }
    this.#credits.cameBack(message);
    this.flush();
  }
}
