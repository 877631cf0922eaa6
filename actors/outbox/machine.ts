/** The life of one delivery as a pure state machine. When it is due and what its outcomes mean is `policy.ts`'s. */
import { createMachineTable, setup } from '../../runtime/machine/index.ts';
import type { Charge } from './policy.ts';

export const ACTIVE_STATUSES = ['queued', 'sending', 'waiting', 'unknown', 'held'] as const;
export const ENDED_STATUSES = ['delivered', 'dead'] as const;
export type ActiveStatus = (typeof ACTIVE_STATUSES)[number];
export type DeliveryStatus = ActiveStatus | (typeof ENDED_STATUSES)[number];

/** Why a delivery died; '' while it has not. */
export const ENDINGS = ['', 'permanent', 'expired', 'quarantined', 'discarded'] as const;
export type Ending = (typeof ENDINGS)[number];

/** How far a delivery has come. */
export interface Progress {
  /** Index of the piece that is sent next or now. */
  readonly chunk: number;
  /** 0 until a connector has said how many pieces there are. */
  readonly chunks: number;
  /** Sends of this piece, whatever came of them; 0 before the first. */
  readonly attempt: number;
  /** Counted failures of this piece: the backoff grows with them. */
  readonly failures: number;
  /** Counted attempts of the whole delivery that have ended. */
  readonly attempts: number;
  /** Crashes that it is blamed for. */
  readonly crashes: number;
  /** Ends of its sender since a piece was last confirmed that nobody was named for. An end of the process is none. */
  readonly losses: number;
  /** Wall time of the next attempt, and how long that was away when it was decided. */
  readonly nextAttemptAtMs: number;
  readonly delayMs: number;
  /** What the last attempt ended with; '' for nothing to tell. */
  readonly reason: string;
  readonly ending: Ending;
  readonly nativeMessageIds: readonly string[];
  /** A piece of which nobody knows whether it was sent has been sent again, or given up: a replay would send it again. */
  readonly maybeDuplicate: boolean;
  /** Wall time at which an operator last sent it on its way again, which its age counts from; 0 for never. */
  readonly replayedAtMs: number;
}

interface Pause {
  readonly atMs: number;
  readonly delayMs: number;
  readonly counts: boolean;
  readonly reason: string;
}

export type DeliveryEvent =
  /** Its turn in the lane, for the first time. */
  | { readonly type: 'start' }
  /** Its turn again. */
  | { readonly type: 'due' }
  /** `maySend`: the next piece may leave at once. */
  | {
      readonly type: 'delivered';
      readonly nativeMessageId: string;
      readonly chunks: number;
      readonly maySend: boolean;
    }
  | ({ readonly type: 'rate_limited' } & Pause)
  | ({ readonly type: 'transient' } & Pause)
  | ({ readonly type: 'auth' } & Pause)
  | { readonly type: 'permanent'; readonly reason: string }
  | ({ readonly type: 'unknown'; readonly hold: boolean; readonly charge: Charge } & Pause)
  | { readonly type: 'hold' }
  | { readonly type: 'expired' }
  | { readonly type: 'quarantine'; readonly charge: Charge }
  | { readonly type: 'discard' }
  | { readonly type: 'replay'; readonly atMs: number };

export const NO_PROGRESS: Progress = {
  chunk: 0,
  chunks: 0,
  attempt: 0,
  failures: 0,
  attempts: 0,
  crashes: 0,
  losses: 0,
  nextAttemptAtMs: 0,
  delayMs: 0,
  reason: '',
  ending: '',
  nativeMessageIds: [],
  maybeDuplicate: false,
  replayedAtMs: 0,
};

const delivery = setup({
  types: {} as { context: Progress; events: DeliveryEvent },
  guards: {
    isLast: ({ context, event }) => event.type === 'delivered' && context.chunk + 1 >= event.chunks,
    maySend: ({ event }) => event.type === 'delivered' && event.maySend,
    holds: ({ event }) => event.type === 'unknown' && event.hold,
  },
});

const begin = delivery.assign({
  attempt: ({ context }) => context.attempt + 1,
  nextAttemptAtMs: 0,
  delayMs: 0,
});
const suspect = delivery.assign({ maybeDuplicate: true });
const took = delivery.assign(({ context, event }) => {
  if (event.type !== 'delivered') return {};
  return {
    chunks: event.chunks,
    nativeMessageIds: [...context.nativeMessageIds, event.nativeMessageId],
    reason: '',
  };
});
const finish = delivery.assign({
  attempts: ({ context }) => context.attempts + 1,
  nextAttemptAtMs: 0,
  delayMs: 0,
});
const nextChunk = delivery.assign({
  chunk: ({ context }) => context.chunk + 1,
  attempt: 0,
  failures: 0,
  losses: 0,
  nextAttemptAtMs: 0,
  delayMs: 0,
});
const pause = delivery.assign(({ context, event }) => {
  if (!('delayMs' in event)) return {};
  const counted = event.counts ? 1 : 0;
  return {
    failures: context.failures + counted,
    attempts: context.attempts + (event.type === 'unknown' ? 1 : counted),
    ...charged(context, event),
    nextAttemptAtMs: event.atMs + event.delayMs,
    delayMs: event.delayMs,
    reason: event.reason,
  };
});
const refused = delivery.assign({
  ending: 'permanent',
  attempts: ({ context }) => context.attempts + 1,
  reason: ({ event }) => (event.type === 'permanent' ? event.reason : ''),
});
const tooOld = delivery.assign({
  ending: 'expired',
  reason: ({ context }) => (context.reason === '' ? 'expired' : `expired: ${context.reason}`),
});
const crashed = delivery.assign({
  ending: 'quarantined',
  attempts: ({ context }) => context.attempts + 1,
  reason: 'quarantined',
});
const charge = delivery.assign(({ context, event }) => charged(context, event));
const discarded = delivery.assign({
  ending: 'discarded',
  reason: ({ context }) => (context.reason === '' ? 'discarded' : `discarded: ${context.reason}`),
});
const again = delivery.assign({
  nextAttemptAtMs: 0,
  delayMs: 0,
  failures: 0,
  crashes: 0,
  losses: 0,
  reason: '',
  ending: '',
  replayedAtMs: ({ event }) => (event.type === 'replay' ? event.atMs : 0),
});

/** A piece may be confirmed late, when it was given up as waiting or unknown. */
const whenDelivered = [
  { guard: 'isLast', target: 'delivered', actions: [took, finish] },
  { guard: 'maySend', target: 'sending', reenter: true, actions: [took, nextChunk, begin] },
  { target: 'queued', actions: [took, nextChunk] },
] as const;
const whenExpired = { target: 'dead', actions: tooOld } as const;
const whenDiscarded = { target: 'dead', actions: discarded } as const;
const whenDiscardedInDoubt = { target: 'dead', actions: [suspect, discarded] } as const;
const whenExpiredInDoubt = { target: 'dead', actions: [suspect, tooOld] } as const;

export const deliveryMachine = delivery.createMachine({
  id: 'delivery',
  context: NO_PROGRESS,
  initial: 'queued',
  states: {
    queued: {
      on: {
        start: { target: 'sending', actions: begin },
        delivered: whenDelivered,
        discard: whenDiscarded,
        expired: whenExpired,
      },
    },
    sending: {
      on: {
        delivered: whenDelivered,
        rate_limited: { target: 'waiting', actions: pause },
        transient: { target: 'waiting', actions: pause },
        auth: { target: 'waiting', actions: pause },
        permanent: { target: 'dead', actions: refused },
        unknown: [
          { guard: 'holds', target: 'held', actions: pause },
          { target: 'unknown', actions: pause },
        ],
        quarantine: { target: 'dead', actions: [suspect, charge, crashed] },
        expired: whenExpiredInDoubt,
      },
    },
    waiting: {
      on: {
        due: { target: 'sending', actions: begin },
        delivered: whenDelivered,
        discard: whenDiscarded,
        expired: whenExpired,
      },
    },
    unknown: {
      on: {
        due: { target: 'sending', actions: [suspect, begin] },
        hold: 'held',
        delivered: whenDelivered,
        discard: whenDiscardedInDoubt,
        expired: whenExpiredInDoubt,
      },
    },
    held: {
      on: {
        replay: { target: 'queued', actions: [suspect, again] },
        delivered: whenDelivered,
        discard: whenDiscardedInDoubt,
        expired: whenExpiredInDoubt,
      },
    },
    dead: { on: { replay: { target: 'queued', actions: again } } },
    delivered: { type: 'final' },
  },
});

export const deliveryTable = createMachineTable(deliveryMachine);

function charged({ crashes, losses }: Progress, event: DeliveryEvent): Partial<Progress> {
  const charge = 'charge' in event ? event.charge : 'none';
  return {
    crashes: crashes + (charge === 'crash' ? 1 : 0),
    losses: losses + (charge === 'loss' ? 1 : 0),
  };
}
