/** A ledger in the behaviour kit, on a held store. */
import { ledgerActor } from '../../../actors/ledger/actor.ts';
import type { LedgerArgs, LedgerDeps } from '../../../actors/ledger/ledger-state.ts';
import type { CommitReply } from '../../../actors/ledger/protocol.ts';
import type { Fact } from '../../../runtime/store/store.ts';
import {
  type BehaviorKitOptions,
  createBehaviorKit,
} from '../../../runtime/testing/behavior-kit.ts';
import { createHeldStore, type HeldStore } from './held-store.ts';

export interface LedgerOptions {
  readonly store?: HeldStore;
  readonly args?: Partial<LedgerArgs>;
  readonly deps?: Partial<LedgerDeps>;
  readonly wallMs?: number;
  /** What a tell to another actor returns. Default true. */
  readonly takes?: BehaviorKitOptions['takes'];
}

/** The kit only records what an actor tells itself, and the ledger's next batch takes off with such a message. */
export async function createLedgerKit(
  args: LedgerArgs,
  deps: LedgerDeps,
  options: BehaviorKitOptions = {},
) {
  const kit = await createBehaviorKit(ledgerActor, args, deps, {
    ...options,
    takes(to, kind) {
      if (kind === 'pump') queueMicrotask(() => kit.receive('pump', null));
      return kind === 'pump' || options.takes?.(to, kind) !== false;
    },
  });
  return kit;
}

export async function openLedger(options: LedgerOptions = {}) {
  const store = options.store ?? createHeldStore();
  const ballast: string[] = [];
  const logs: string[] = [];
  const deps: LedgerDeps = {
    openStore: async () => store,
    ballast: {
      ensure: async () => void ballast.push('ensure'),
      release: async () => ballast.push('release') > 0,
    },
    prepareBackup: async (id) => `/backups/${id}`,
    log: (_level, message) => void logs.push(message),
    ...options.deps,
  };
  const { wallMs, takes } = options;
  const kit = await createLedgerKit({ retention: [], ...options.args }, deps, {
    ...(wallMs === undefined ? {} : { wallMs }),
    ...(takes === undefined ? {} : { takes }),
  });
  const put = (
    key: string,
    options: { readonly admits?: boolean; readonly facts?: readonly Fact[] } = {},
  ) => {
    const row = { v: 1, text: key };
    const changes = {
      expect: [],
      put: [{ table: 'inbox', key, row }],
      remove: [],
      facts: options.facts ?? [],
    };
    const request = { changes, admits: options.admits ?? false };
    return kit.receive('commit', request) as Promise<CommitReply>;
  };
  /** Lets every waiting commit through until the ledger is idle. */
  const drain = async () => {
    for (let turn = 0; turn < 1_000; turn += 1) {
      await turnOfLoop();
      if (store.waiting > 0) store.release();
      else if (kit.state.flight === undefined && kit.state.queue.length === 0) return;
    }
    throw new Error('the ledger did not come to rest');
  };
  return { kit, store, ballast, logs, put, drain };
}

export function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a promise has come to by now: its value, or `pending`. */
export async function sofar<T>(promise: Promise<T> | unknown): Promise<T | 'pending'> {
  await turnOfLoop();
  return Promise.race([promise as Promise<T>, Promise.resolve('pending' as const)]);
}
