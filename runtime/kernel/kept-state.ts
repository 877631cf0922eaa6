/** `self.state`: what one incarnation may do with the state kept at its path. The keeper decides; this asks it. */
import { type ActorState, type Asks, type Durability, type In, type Out, refTo } from '../actor.ts';
import { AskError, RuntimeError, StaleIncarnation } from '../errors.ts';
import { KEEPER_ID, type KeeperProtocol, type Refusal, type Stamp } from '../state/protocol.ts';
import { encodeValue, unpack } from '../store/encoding.ts';
import { checkKey } from '../store/keys.ts';
import type { Cell } from './cell.ts';
import type { KernelSelf } from './self.ts';

const DEADLINE_MS = 30_000;
const MAX_VALUE_BYTES = 1_024 * 1_024;
const CODES = ['store_failed', 'store_closed', 'store_corrupt', 'state_full'] as const;

export class KeptState implements ActorState {
  readonly #cell: Cell;
  readonly #self: KernelSelf;

  constructor(cell: Cell, self: KernelSelf) {
    this.#cell = cell;
    this.#self = self;
  }

  async load<T>(): Promise<T | undefined> {
    const { path, stamp } = this.#place();
    const { refusal, version, bytes } = await this.#ask('load', { path, stamp });
    this.#check(refusal);
    return bytes === null ? undefined : (this.#migrated(unpack(bytes), version) as T);
  }

  async save(value: unknown, { durability }: { readonly durability: Durability }): Promise<void> {
    const { path, stamp } = this.#place();
    const version = this.#version();
    const bytes = value === undefined ? null : encodeValue(value, path, MAX_VALUE_BYTES);
    this.#check(await this.#ask('save', { path, stamp, durability, version, bytes }));
  }

  #place(): { readonly path: string; readonly stamp: Stamp } {
    const cell = this.#cell;
    checkKey(cell.path);
    let placed = cell;
    // The uids of main are of one sequence; another thread's are that only below the same actor that main placed there.
    if (cell.kernel.thread !== 'main') while (placed.parent !== undefined) placed = placed.parent;
    const stamp = [placed.uid, placed.incarnation, cell.uid, this.#self.incarnation] as const;
    return { path: cell.path, stamp };
  }

  #version(): number {
    const version = this.#cell.compiled?.definition.state?.version ?? 1;
    if (Number.isSafeInteger(version) && version >= 1) return version;
    throw new RuntimeError(
      'bad_option',
      `${this.#cell.path}: the version of its state is ${version}`,
    );
  }

  #migrated(value: unknown, from: number): unknown {
    const to = this.#version();
    if (from === to) return value;
    const { path, compiled } = this.#cell;
    const migrate = compiled?.definition.state?.migrate;
    const what = `${path}: its state has version ${from}, this actor keeps ${to}`;
    if (from > to || migrate === undefined) throw new RuntimeError('state_version', what);
    try {
      return migrate(value, from);
    } catch (error) {
      throw new RuntimeError('state_version', `${what}, and migrate failed`, { cause: error });
    }
  }

  async #ask<K extends Asks<KeeperProtocol>>(
    kind: K,
    request: In<KeeperProtocol, K>,
  ): Promise<Out<KeeperProtocol, K>> {
    const { path } = this.#cell;
    const keeper = refTo<KeeperProtocol>(path.slice(0, path.indexOf('/')), KEEPER_ID);
    try {
      return await this.#self.ask(keeper, kind, request, { inMs: DEADLINE_MS });
    } catch (error) {
      if (!(error instanceof AskError) || error.code !== 'actor_dead') throw error;
      const message = `${path}: the system keeps no state, or has stopped; it is created with a store`;
      throw new RuntimeError('state_unavailable', message, { cause: error });
    }
  }

  #check(refusal: Refusal): void {
    if (refusal === '') return;
    const { ref, path } = this.#cell;
    if (refusal === 'stale_incarnation')
      throw new StaleIncarnation(ref.address, this.#self.incarnation);
    const code = CODES.find((one) => one === refusal) ?? 'store_failed';
    const message = code === 'state_full' ? 'too much state is waiting or in memory' : 'the store';
    throw new RuntimeError(code, `${path}: ${message}`, { retryable: code === 'state_full' });
  }
}
