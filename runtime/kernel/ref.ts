/** Refs: plain data outside, with a hidden slot in which a thread remembers its local cell. */
import type { ActorRef } from '../actor.ts';
import type { Cell } from './cell.ts';

/** A symbol key: no codec writes it, so it never leaves the thread. */
export const LOCAL_CELL: unique symbol = Symbol('local cell');

export interface CachedRef extends ActorRef<unknown> {
  [LOCAL_CELL]?: Cell | undefined;
}

export function createRef(path: string, uid: number): ActorRef<unknown> {
  const ref: CachedRef = { address: `${path}#${uid}`, [LOCAL_CELL]: undefined };
  return ref;
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
