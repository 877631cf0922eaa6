/** Stands where threads would part actors in a system that has none, so that what threads refuse is refused there too. */
import { Parcel } from '../transfer.ts';
import type { Cell } from './cell.ts';
import { LOCAL_CELL } from './ref.ts';

/** What comes out at the other end of a link; throws where a value has no form. */
export type Carry = (payload: unknown) => unknown;

export class Border {
  readonly #carry: Carry;

  constructor(carry: Carry) {
    this.#carry = carry;
  }

  /** Whether threads would. */
  parts(from: Cell | undefined, to: Cell | undefined): boolean {
    return homeOf(from) !== homeOf(to);
  }

  /** What `to` gets: over a border a copy, else the payload itself, frozen, as both have it now. */
  pass(payload: unknown, from: Cell | undefined, to: Cell | undefined): unknown {
    const isNear = !this.parts(from, to);
    if (payload instanceof Parcel) return isNear ? payload : this.#passParcel(payload);
    const passed = isNear ? payload : this.#carry(payload);
    freeze(passed);
    return passed;
  }

  #passParcel(parcel: Parcel): Parcel {
    try {
      return parcel.with(this.#carry(parcel.rest));
    } catch (error) {
      // As between threads: it was taken before it was found to have no form.
      parcel.take();
      throw error;
    }
  }

  /** False where the payload has no form: as between threads, where the sender has long been told that it was taken. */
  send(
    cell: Cell,
    kind: string,
    payload: unknown,
    trace: string | undefined,
    from?: Cell,
  ): boolean {
    let passed: unknown;
    try {
      passed = this.pass(payload, from, cell);
    } catch {
      cell.kernel.deadLetter(cell.path, kind, 'not_encodable');
      return true;
    }
    return cell.kernel.sendTo(cell, kind, passed, trace, this.parts(from, cell));
  }

  /** What a reply of `cell` goes through on its way back. */
  wayBack(cell: Cell, from: Cell | undefined): (value: unknown) => unknown {
    return (value) => this.pass(value, cell, from);
  }
}

/** The thread that a cell would be on: undefined for main. One key is one thread; `pool` is one for each. */
function homeOf(from: Cell | undefined): unknown {
  for (let cell = from; cell?.parent !== undefined; cell = cell.parent) {
    const { placement } = cell.spec;
    if (placement === 'with-parent') continue;
    if (placement === 'main') return undefined;
    return typeof placement === 'object' ? `${placement.group ?? ''}/${placement.hash}` : cell;
  }
  return undefined;
}

/** Plain data to its ends. What has no fields of its own (bytes, dates) cannot be, and a ref remembers its way. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === Object.prototype || prototype === null || Array.isArray(value);
  if (!isPlain || LOCAL_CELL in value) return;
  Object.freeze(value);
  for (const field of Object.values(value)) freeze(field);
}
