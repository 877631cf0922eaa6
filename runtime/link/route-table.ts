/** Which thread an address leads to, from this thread's point of view; holds messages while a way is being opened. */
import type { ActorRef, Down, ExitCause } from '../actor.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { pathOf, rememberOutbound } from '../kernel/ref.ts';
import type { AskRequest, Remotes } from '../kernel/remotes.ts';
import { READY } from '../kernel/room-line.ts';
import { noSuchActor, type Watcher } from '../kernel/watchers.ts';
import { Parcel } from '../transfer.ts';
import type { ControlMessage } from './control-message.ts';
import type { WireMeta } from './frame.ts';
import { Link } from './link.ts';
import { Outbound } from './outbound.ts';
import type { LinkPorts } from './port.ts';

/** Messages that wait for one way to open. */
const HELD_LIMIT = 1_024;
/** Who waits for room there waits behind them. */
const HELD_READY_LIMIT = HELD_LIMIT + 1_024;

interface Held {
  readonly address: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly meta: WireMeta;
}

interface OpenRoute {
  readonly status: 'open';
  readonly link: Link;
  readonly outbounds: Map<string, Outbound>;
}

type Route =
  | {
      status: 'opening';
      readonly held: Held[];
      watches: [string, Watcher][];
      /** Other threads that want to know where it leads. */
      readonly asked: ((slot: number) => void)[];
    }
  | OpenRoute
  /** Its thread is lost: refused until it is open again. */
  | { status: 'lost' };

/** In place of a slot, where a path leads to none. */
export const NOWHERE = -1;
/** In place of a slot, while its thread is being replaced. */
export const LOST = -2;

/** How one actor ended with its thread. */
interface KnownEnd {
  readonly incarnation: number;
  readonly cause: ExitCause;
}

export interface RouteTableOptions {
  readonly kernel: Kernel;
  /** Asks where a path is; the answer comes as `opened` or `closed`. Main knows and has none. */
  locate?(path: string): void;
  /** What a link's control lane brings that is not about routes, watches or credits. */
  onControl(message: ControlMessage, link: Link): void;
}

export class RouteTable implements Remotes {
  readonly #options: RouteTableOptions;
  readonly #kernel: Kernel;
  readonly #links = new Map<number, Link>();
  readonly #routes = new Map<string, Route>();
  /** Watches of this thread's actors on others: id → who is told. */
  readonly #watches = new Map<
    string,
    { readonly slot: number; readonly address: string; readonly watcher: Watcher }
  >();
  /** Watches of other threads' actors on this one's: slot → id → address. */
  readonly #held = new Map<number, Map<string, string>>();
  #nextWatch = 1;

  constructor(options: RouteTableOptions) {
    this.#options = options;
    this.#kernel = options.kernel;
  }

  connect(slot: number, ports: LinkPorts): Link {
    // A new thread may be heard of before the end of the old one.
    if (this.#links.has(slot)) this.lost(slot, { kind: 'thread-lost', code: 'link_closed' });
    const link = new Link(slot, ports, this.#kernel, (message, from) =>
      this.#control(message, from),
    );
    this.#links.set(slot, link);
    return link;
  }

  linkTo(slot: number): Link | undefined {
    return this.#links.get(slot);
  }

  /** The thread behind a slot is gone: everything that waits for it ends now. `ends` says by path what is known of one. */
  lost(slot: number, cause: ExitCause, ends: ReadonlyMap<string, KnownEnd> = new Map()): void {
    const link = this.#links.get(slot);
    this.#links.delete(slot);
    link?.close();
    for (const [path, route] of this.#routes) {
      if (route.status !== 'open' || route.link !== link) continue;
      this.#forget(path);
      if (this.#options.locate === undefined) this.#routes.set(path, { status: 'lost' });
    }
    for (const [id, address] of this.#held.get(slot) ?? []) {
      this.#kernel.unwatch({ address }, remoteId(slot, id));
    }
    this.#held.delete(slot);
    this.#kernel.asks.failAll('thread_lost', cause.code, slot);
    for (const [id, watch] of this.#watches) {
      if (watch.slot !== slot) continue;
      this.#watches.delete(id);
      const { address, watcher } = watch;
      const { incarnation, cause: own } = ends.get(pathOf(address)) ?? { incarnation: 0, cause };
      watcher.notify({ ref: { address }, incarnation, cause: own });
    }
  }

  /** A way is about to open; what is sent meanwhile is held. */
  opening(path: string): void {
    const route = this.#routes.get(path);
    if (route === undefined || route.status === 'lost')
      this.#routes.set(path, { status: 'opening', held: [], watches: [], asked: [] });
  }

  opened(path: string, slot: number): void {
    const link = this.#links.get(slot);
    const route = this.#routes.get(path);
    if (link === undefined) {
      // The loss of its thread was heard of here first.
      this.closed(path, 'thread_lost');
      return;
    }
    if (route?.status === 'open' && route.link === link) return;
    this.#forget(path);
    const open = { status: 'open', link, outbounds: new Map<string, Outbound>() } as const;
    this.#routes.set(path, open);
    if (route?.status !== 'opening') return;
    for (const tell of route.asked) tell(slot);
    for (const { address, kind, payload, meta } of route.held) {
      if (!this.#outboundOf(open, address).send(kind, payload, meta)) {
        this.#fail(meta, 'mailbox_full');
        this.#kernel.deadLetter(address, kind, 'mailbox_full');
      } else if (Array.isArray(meta)) this.#kernel.asks.waitFor(meta[0] as number, slot);
    }
    for (const [address, watcher] of route.watches) this.watch(address, watcher);
  }

  /** There is nobody at this path, or its thread is being replaced: what waits for the way was not sent. */
  closed(path: string, code: 'actor_dead' | 'thread_lost' = 'actor_dead'): void {
    const route = this.#forget(path);
    if (route?.status !== 'opening') return;
    for (const tell of route.asked) tell(NOWHERE);
    for (const { address, kind, meta } of route.held) {
      this.#fail(meta, code);
      // It may have been for one below.
      this.#kernel.deadLetter(address, kind, code === 'actor_dead' ? 'no_such_actor' : code);
    }
    for (const [address, watcher] of route.watches) watcher.notify(noSuchActor({ address }));
  }

  /** An actor of this thread itself starts there: what waits for it comes before what is sent to it from now on. */
  here(path: string): void {
    const route = this.#forget(path);
    if (route?.status !== 'opening') return;
    for (const held of route.held) this.#deliverHere(held);
    for (const [address, watcher] of route.watches) this.#kernel.watch({ address }, watcher);
  }

  /** Tells another thread the slot of `path` as soon as the way is open, `NOWHERE`, or `LOST` until its actor starts again. */
  whereIs(path: string, tell: (slot: number) => void): void {
    const route = this.#nearest(path);
    if (route === undefined) tell(NOWHERE);
    else if (route.status === 'open') tell(route.link.slot);
    else if (route.status === 'opening' && route.asked.length < HELD_LIMIT) route.asked.push(tell);
    else tell(LOST);
  }

  send(ref: ActorRef<unknown>, kind: string, payload: unknown, trace: string | undefined): boolean {
    const route = this.#routeTo(ref.address);
    if (route?.status === 'open')
      rememberOutbound(ref, this.#outboundOf(route, ref.address), this.#kernel);
    return this.#send(route, ref.address, kind, payload, trace ?? 0);
  }

  ask(id: number, { ref, kind, payload, deadline, chain, trace }: AskRequest): void {
    const { address } = ref;
    const meta: WireMeta = [id, deadline.inMs, trace ?? 0, chain];
    const route = this.#routeTo(address);
    if (route?.status === 'open') {
      this.#kernel.asks.waitFor(id, route.link.slot);
      rememberOutbound(ref, this.#outboundOf(route, address), this.#kernel);
    }
    if (this.#send(route, address, kind, payload, meta)) return;
    const code = route?.status === 'lost' ? 'thread_lost' : 'mailbox_full';
    this.#fail(meta, route === undefined ? 'actor_dead' : code);
  }

  hasRoom(address: string, messages: number): void {
    const route = this.#known(pathOf(address));
    if (route?.status === 'open') route.outbounds.get(address)?.hasRoom(messages);
  }

  watch(address: string, watcher: Watcher): void {
    const route = this.#routeTo(address);
    if (route === undefined || route.status === 'lost') {
      watcher.notify(noSuchActor({ address }));
    } else if (route.status === 'opening') {
      route.watches.push([address, watcher]);
    } else {
      const id = `${watcher.id}:${this.#nextWatch}`;
      this.#nextWatch += 1;
      this.#watches.set(id, { slot: route.link.slot, address, watcher });
      route.link.control({ type: 'watch', address, id });
    }
  }

  unwatch(address: string, id: number | string): void {
    const route = this.#routes.get(pathOf(address));
    if (route?.status === 'opening') {
      const isOther = ([at, watcher]: readonly [string, Watcher]) =>
        at !== address || watcher.id !== id;
      route.watches = route.watches.filter(isOther);
    }
    for (const [key, watch] of this.#watches) {
      if (watch.watcher.id !== id || watch.address !== address) continue;
      this.#watches.delete(key);
      this.#links.get(watch.slot)?.control({ type: 'unwatch', address, id: key });
    }
  }

  flush(): void {
    for (const link of this.#links.values()) link.flush();
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #send(
    route: Route | undefined,
    address: string,
    kind: string,
    payload: unknown,
    meta: WireMeta,
  ): boolean {
    if (route?.status === 'open') return this.#outboundOf(route, address).send(kind, payload, meta);
    const limit = kind === READY ? HELD_READY_LIMIT : HELD_LIMIT;
    if (route?.status === 'opening' && route.held.length < limit) {
      if (payload instanceof Parcel) payload.take();
      route.held.push({ address, kind, payload, meta });
      return true;
    }
    if (route === undefined) this.#kernel.deadLetter(address, kind, 'no_such_actor');
    else this.#kernel.counters.refused += 1;
    return false;
  }

  #routeTo(address: string): Route | undefined {
    const path = pathOf(address);
    const route = this.#known(path);
    if (route !== undefined || this.#options.locate === undefined) return route;
    this.opening(path);
    this.#options.locate(path);
    return this.#routes.get(path);
  }

  #known(path: string): Route | undefined {
    return this.#options.locate === undefined ? this.#nearest(path) : this.#routes.get(path);
  }

  /** Main knows whom it placed; what is below them lives in the same thread. */
  #nearest(path: string): Route | undefined {
    for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const route = this.#routes.get(at);
      if (route !== undefined) return route;
    }
    return undefined;
  }

  #outboundOf({ link, outbounds }: OpenRoute, address: string): Outbound {
    const known = outbounds.get(address);
    if (known !== undefined) return known;
    const outbound = new Outbound(address, link, this.#kernel);
    outbounds.set(address, outbound);
    return outbound;
  }

  /** Takes the route out; whoever remembers a way over it has to look again. */
  #forget(path: string): Route | undefined {
    const route = this.#routes.get(path);
    this.#routes.delete(path);
    if (route?.status !== 'open') return route;
    for (const outbound of route.outbounds.values()) outbound.retire();
    return route;
  }

  #deliverHere({ address, kind, payload, meta }: Held): void {
    const kernel = this.#kernel;
    const cell = kernel.find({ address });
    if (cell === undefined) {
      this.#fail(meta, 'actor_dead');
      kernel.deadLetter(address, kind, 'no_such_actor');
    } else if (Array.isArray(meta)) {
      const ask = kernel.asks.at(meta[0] as number);
      if (ask !== undefined) kernel.askLocal(cell, { kind, payload }, ask);
    } else {
      const entry = kernel.entryOf(cell, kind);
      if (entry !== undefined && cell.enqueue(entry, payload, meta === 0 ? undefined : meta))
        return;
      kernel.deadLetter(address, kind, entry === undefined ? 'unknown_kind' : 'mailbox_full');
    }
  }

  #fail(meta: WireMeta, code: 'mailbox_full' | 'actor_dead' | 'thread_lost'): void {
    if (Array.isArray(meta)) this.#kernel.asks.notSent(meta[0] as number, code);
  }

  #control(message: ControlMessage, link: Link): void {
    switch (message.type) {
      case 'watch':
        this.#heldFor(link).set(message.id, message.address);
        this.#kernel.watch({ address: message.address }, this.#remoteWatcher(message.id, link));
        return;
      case 'unwatch':
        this.#heldFor(link).delete(message.id);
        this.#kernel.unwatch({ address: message.address }, remoteId(link.slot, message.id));
        return;
      case 'down': {
        const watch = this.#watches.get(message.id);
        this.#watches.delete(message.id);
        const { address, incarnation, cause } = message;
        watch?.watcher.notify({ ref: { address }, incarnation, cause });
        return;
      }
      case 'gone': {
        const route = this.#openOver(link, message.path);
        if (route === undefined) return;
        if (this.#options.locate === undefined) retire(route, message.path);
        else this.#forget(message.path);
        return;
      }
      case 'full':
        this.#openOver(link, pathOf(message.address))?.outbounds.get(message.address)?.full();
        return;
      default:
        this.#options.onControl(message, link);
    }
  }

  /** What is said of a message may come late: the way may be opening anew by then, with others waiting for it. */
  #openOver(link: Link, path: string): OpenRoute | undefined {
    const route = this.#known(path);
    return route?.status === 'open' && route.link === link ? route : undefined;
  }

  #heldFor({ slot }: Link): Map<string, string> {
    const held = this.#held.get(slot) ?? new Map<string, string>();
    this.#held.set(slot, held);
    return held;
  }

  #remoteWatcher(id: string, link: Link): Watcher {
    return {
      id: remoteId(link.slot, id),
      notify: ({ ref, incarnation, cause }: Down) => {
        this.#heldFor(link).delete(id);
        link.control({ type: 'down', id, address: ref.address, incarnation, cause });
      },
    };
  }
}

/** Main knows the way as far as whom it placed: one below has gone. */
function retire(route: OpenRoute, path: string): void {
  for (const [address, outbound] of route.outbounds) {
    if (outbound.path !== path) continue;
    route.outbounds.delete(address);
    outbound.retire();
  }
}

function remoteId(slot: number, id: string): string {
  return `${slot}/${id}`;
}
