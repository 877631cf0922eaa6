/** What a payload counts in a mailbox whose bytes are bounded: the same by reference as from a link. */
import { Parcel } from '../transfer.ts';

/** Of every value, whatever it is. */
const VALUE_BYTES = 8;

/**
 * As `runtime/SEMANTICS.md` M16 says. Infinite where it is more than `most`, or cannot be read: it is not read further than
 * that, so one that contains itself comes to an end too.
 */
export function payloadBytes(payload: unknown, most: number): number {
  const sum = new Sum();
  try {
    sum.add(payload);
    for (let whole = sum.next(); whole !== undefined; whole = sum.next()) {
      if (Array.isArray(whole)) {
        for (let i = 0; i < whole.length && sum.bytes <= most; i += 1) sum.add(whole[i]);
      } else {
        for (const name in whole) {
          sum.bytes += name.length;
          sum.add((whole as Record<string, unknown>)[name]);
          if (sum.bytes > most) break;
        }
      }
      if (sum.bytes > most) return Number.POSITIVE_INFINITY;
    }
  } catch {
    return Number.POSITIVE_INFINITY;
  }
  return sum.bytes > most ? Number.POSITIVE_INFINITY : sum.bytes;
}

class Sum {
  bytes = 0;
  /** Made with the first value that has parts: most have none. */
  #unread: object[] | undefined = undefined;

  add(value: unknown): void {
    this.bytes += VALUE_BYTES;
    if (value instanceof Parcel) {
      this.bytes += value.bytes - VALUE_BYTES;
      this.add(value.rest);
    } else if (typeof value === 'string') this.bytes += value.length;
    else if (typeof value !== 'object' || value === null) return;
    else if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
      this.bytes += value.byteLength;
    } else {
      this.#unread ??= [];
      this.#unread.push(value);
    }
  }

  next(): object | undefined {
    return this.#unread?.pop();
  }
}
