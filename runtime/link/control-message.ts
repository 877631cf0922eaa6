/** The control lane of a link: small, never held back by credits, never behind user messages. */
import type { ExitCause } from '../actor.ts';
import type { SystemEvent } from '../system.ts';

export type ControlMessage =
  /** So many messages and bytes were taken in. */
  | { readonly type: 'credit'; readonly messages: number; readonly bytes: number }
  | { readonly type: 'watch'; readonly address: string; readonly id: string }
  | { readonly type: 'unwatch'; readonly address: string; readonly id: string }
  | {
      readonly type: 'down';
      readonly id: string;
      readonly address: string;
      readonly incarnation: number;
      readonly cause: ExitCause;
    }
  /** Worker to main: on which slot is this path? */
  | { readonly type: 'locate'; readonly path: string }
  /** Main's answer; `NOWHERE`, or `LOST`, in place of a slot. */
  | { readonly type: 'located'; readonly path: string; readonly slot: number }
  /** What the other thread wrote cannot be read: it has to end, so that both begin anew. */
  | { readonly type: 'unreadable' }
  /** The mailbox of this actor has refused what came over this link. */
  | { readonly type: 'full'; readonly address: string }
  /** There is no such actor here any more: forget the way. */
  | { readonly type: 'gone'; readonly path: string }
  /** Worker to main, of a child that main placed there. */
  | { readonly type: 'started'; readonly uid: number; readonly incarnation: number }
  | {
      readonly type: 'ended';
      readonly uid: number;
      readonly incarnation: number;
      readonly cause: ExitCause;
    }
  | { readonly type: 'event'; readonly event: SystemEvent };
