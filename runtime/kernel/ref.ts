/** Refs: plain data outside, with a hidden slot in which a thread remembers its local cell. */
import type { ActorRef } from '../actor.ts';
import type { Cell } from './cell.ts';
import type { Kernel } from './kernel.ts';

/** Symbol keys: no codec writes them, so they never leave the thread. */
export const LOCAL_CELL: unique symbol = Symbol('local cell');
export const OUTBOUND: unique symbol = Symbol('outbound');

/** A way to another thread, remembered for one kernel. */
export interface RememberedWay {
  readonly isStale: boolean;
  readonly path: string;
  readonly slot: number;
  /** `meta` as it travels: 0 or a trace for a tell, a list for an ask. */
  send(
    kind: string,
    payload: unknown,
    meta: 0 | string | readonly [number, number, string | 0, readonly string[]],
  ): boolean;
}

export interface CachedRef extends ActorRef<unknown> {
  [LOCAL_CELL]?: Cell | undefined;
  [OUTBOUND]?: { readonly kernel: Kernel; readonly way: RememberedWay } | undefined;
}

/** `cell`: where it leads to in this thread, where that is known. */
export function createRef(path: string, uid: number, cell?: Cell): ActorRef<unknown> {
  const ref: CachedRef = {
    address: `${path}#${uid}`,
    [LOCAL_CELL]: cell,
    [OUTBOUND]: undefined,
  };
  return ref;
}

export function rememberCell(ref: ActorRef<unknown>, cell: Cell | undefined): void {
  remember(ref, LOCAL_CELL, cell);
}

export function rememberOutbound(ref: ActorRef<unknown>, way: RememberedWay, kernel: Kernel): void {
  remember(ref, OUTBOUND, { kernel, way });
}

/** A frozen ref remembers nothing and is looked up each time. */
function remember(ref: ActorRef<unknown>, slot: symbol, value: unknown): void {
  if (!Object.isExtensible(ref)) return;
  if (Object.hasOwn(ref, slot)) {
    (ref as unknown as Record<symbol, unknown>)[slot] = value;
    return;
  }
  Object.defineProperty(ref, slot, {
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** The name in an address: without the `#uid`. */
export function pathOf(address: string): string {
  const at = address.lastIndexOf('#');
  return at === -1 ? address : address.slice(0, at);
}

/** The uid in an address; 0 for a ref by name. */
export function uidOf(address: string): number {
  const at = address.lastIndexOf('#');
  return at === -1 ? 0 : Number(address.slice(at + 1));
}
