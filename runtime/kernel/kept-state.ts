/** `self.state`: what one incarnation may do with the state kept at its path. The keeper decides; this asks it. */
import type { ActorState, Durability } from '../actor.ts';
import { RuntimeError } from '../errors.ts';
import { encodeValue, unpack } from '../store/encoding.ts';
import type { Cell } from './cell.ts';
import { askKeeper, checkRefusal, placeOf } from './keeper-access.ts';
import type { KernelSelf } from './self.ts';

const MAX_VALUE_BYTES = 1_024 * 1_024;

export class KeptState implements ActorState {
  readonly #cell: Cell;
  readonly #self: KernelSelf;

  constructor(cell: Cell, self: KernelSelf) {
    this.#cell = cell;
    this.#self = self;
  }

  async load<T>(): Promise<T | undefined> {
    const place = placeOf(this.#cell, this.#self.incarnation);
    const loaded = await askKeeper(this.#cell, this.#self, 'load', place);
    const { refusal, version, bytes } = loaded;
    checkRefusal(this.#cell, this.#self, refusal);
    return bytes === null ? undefined : (this.#migrated(unpack(bytes), version) as T);
  }

  async save(value: unknown, { durability }: { readonly durability: Durability }): Promise<void> {
    const cell = this.#cell;
    const place = placeOf(cell, this.#self.incarnation);
    const version = this.#version();
    const bytes = value === undefined ? null : encodeValue(value, cell.path, MAX_VALUE_BYTES);
    const request = { ...place, durability, version, bytes };
    checkRefusal(cell, this.#self, await askKeeper(cell, this.#self, 'save', request));
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
}
