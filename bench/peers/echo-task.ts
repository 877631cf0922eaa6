/** The peer of `cross-thread-ask/piscina`: a task that answers with what it gets. */
export function echo(n: number): number {
  return n;
}
