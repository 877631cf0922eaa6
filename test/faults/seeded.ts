/** Randomness of a fault round, told by its seed: numbers in [0, 1). */

export type Random = () => number;

/** Mulberry32: small, and good enough to choose moments. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** `PALYRA_TEST_SEED` where it is set, so that a printed seed can be played again. */
export function seedOf(fallback: number): number {
  const given = Number(process.env.PALYRA_TEST_SEED ?? '');
  return Number.isInteger(given) && given > 0 ? given : fallback;
}
