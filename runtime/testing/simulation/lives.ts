/** The incarnations of the crowd as the observer knows them, and what he holds their ends and restarts to. */
import type { RestartLimit, Strategy } from '../../child-spec.ts';

/** One incarnation, from its `start`. */
export interface Life {
  readonly path: string;
  readonly incarnation: number;
  readonly thread: string;
  readonly strategy: Strategy;
  /** Of its children's restarts. */
  readonly limit: RestartLimit | undefined;
  /** Paths of its children in the order of their first start. */
  readonly order: string[];
  /** Downs that are still due, by target. */
  readonly watches: Map<string, number>;
  isOver: boolean;
  /** It ends of its own will or by its parent's word, not with its neighbours. */
  leaves: 'not' | 'itself' | 'told';
  /** When the ends of its children were charged to it, within the period. */
  charges: readonly number[];
  isExhausted: boolean;
  /** A group of its children may be going down while another one is started: nothing can be said of their order. */
  isInterleaved: boolean;
}

export function bornAs({
  path,
  incarnation,
  thread,
  strategy,
  limit,
}: Pick<Life, 'path' | 'incarnation' | 'thread' | 'strategy' | 'limit'>): Life {
  return {
    path,
    incarnation,
    thread,
    strategy,
    limit,
    order: [],
    watches: new Map(),
    isOver: false,
    leaves: 'not',
    charges: [],
    isExhausted: false,
    isInterleaved: false,
  };
}

/** Those that count at `nowMs`, and one more. */
export function charged(
  charges: readonly number[],
  nowMs: number,
  { periodMs }: RestartLimit,
): readonly number[] {
  return [...charges.filter((atMs) => atMs > nowMs - periodMs), nowMs];
}

/** Why this one may not stop now; '' where it may. */
export function objectionToStop(life: Life, lives: ReadonlyMap<string, Life>): string {
  const child = life.order.find((path) => lives.get(path)?.isOver === false);
  if (child !== undefined) return `${life.path} stopped before its child ${child}`;
  const parent = lives.get(parentPathOf(life.path));
  if (parent === undefined || parent.isInterleaved) return '';
  if (life.isOver || life.isExhausted || life.leaves !== 'not') return '';
  const after = parent.order.slice(parent.order.indexOf(life.path) + 1);
  const younger = after.map((path) => lives.get(path)).find(isToGoFirst);
  return younger === undefined
    ? ''
    : `${life.path} stopped before ${younger.path}, started after it`;
}

function isToGoFirst(life: Life | undefined): boolean {
  return life !== undefined && !life.isOver && !life.isExhausted && life.leaves === 'not';
}

export function parentPathOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
