/** How large a fault suite is: a small batch by default, the whole of it when `PALYRA_TEST_SCALE=full`. */

export function faultScale(small: number, full: number): number {
  return process.env.PALYRA_TEST_SCALE === 'full' ? full : small;
}
