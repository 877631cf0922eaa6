/** A child as data: what to start, where, and what its end means. Data, so any thread can start it and any log can print it. */
import { RuntimeError } from './errors.ts';

export const RESTARTS = ['permanent', 'transient', 'temporary'] as const;
/** permanent: always restarted · transient: after an abnormal end only · temporary: never. */
export type Restart = (typeof RESTARTS)[number];

export const STRATEGIES = ['one_for_one', 'one_for_all', 'rest_for_one'] as const;
/** OTP's strategies, https://www.erlang.org/doc/system/sup_princ. A dynamic supervisor is `one_for_one` without static children. */
export type Strategy = (typeof STRATEGIES)[number];

/** `hash`: the same key always lands on the same thread slot, one of those that its `group` has. */
export type Placement =
  | 'main'
  | 'pool'
  | 'own'
  | 'with-parent'
  | { readonly hash: string; readonly group?: string };

export interface ChildSpec<P, A> {
  /** Unique among its siblings; a part of the child's address. */
  readonly id: string;
  /** `module` is a key for the thread's resolver (by default `import()`), so bundles and tests can replace it. */
  readonly start: { readonly module: string; readonly export: string; readonly args: A };
  readonly restart: Restart;
  /** How long `stop` may take before the child is killed; 0 = kill at once. */
  readonly shutdownTimeoutMs: number;
  readonly placement: Placement;
  /** Phantom, never written. */
  readonly protocol?: P;
}

export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
  readonly factor: number;
  /** Share of the delay that is random, 0 to 1. */
  readonly jitter: number;
  /** A child that ran this long starts again from `minMs`. */
  readonly resetAfterMs: number;
}

export interface Supervision {
  readonly strategy: Strategy;
  /** More than `intensity` charged restarts within `periodMs` exhaust the supervisor. */
  readonly intensity: number;
  readonly periodMs: number;
  readonly backoff?: Partial<Backoff>;
  /** `escalate` (default): the supervisor itself crashes · `degrade`: it reports so and keeps retrying at `maxMs`. */
  readonly whenExhausted?: 'escalate' | 'degrade';
  /** A child that ends with one of these codes is not restarted: the supervisor ends with the same cause. */
  readonly escalateCodes?: readonly string[];
  /** Started in this order, stopped in reverse. */
  readonly children?: readonly ChildSpec<unknown, unknown>[];
  /** How long one child may take to start; then it is killed and counts as crashed. Default 30 s. */
  readonly startTimeoutMs?: number;
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._:~@+-]{0,255}$/;

/** Gives the spec back, or throws `bad_child_spec` naming the field, the value and what was expected. */
export function checkChildSpec<P, A>(spec: ChildSpec<P, A>): ChildSpec<P, A> {
  if (typeof spec !== 'object' || spec === null) fail('spec', spec, 'an object');
  if (typeof spec.id !== 'string' || !ID.test(spec.id)) fail('id', spec.id, String(ID));
  const start: unknown = spec.start;
  if (typeof start !== 'object' || start === null) fail('start', start, '{ module, export, args }');
  for (const field of ['module', 'export'] as const) {
    const value: unknown = spec.start[field];
    if (typeof value !== 'string' || value === '') fail(`start.${field}`, value, 'a name');
  }
  if (!RESTARTS.includes(spec.restart)) fail('restart', spec.restart, RESTARTS.join(' | '));
  const { shutdownTimeoutMs, placement } = spec;
  if (!Number.isFinite(shutdownTimeoutMs) || shutdownTimeoutMs < 0) {
    fail('shutdownTimeoutMs', shutdownTimeoutMs, 'milliseconds, 0 = kill');
  }
  if (!isPlacement(placement)) {
    fail('placement', placement, "'main' | 'pool' | 'own' | 'with-parent' | { hash, group? }");
  }
  return spec;
}

function isPlacement(value: unknown): value is Placement {
  if (typeof value === 'string') return ['main', 'pool', 'own', 'with-parent'].includes(value);
  if (typeof value !== 'object' || value === null) return false;
  const { hash, group = '' } = value as { readonly hash?: unknown; readonly group?: unknown };
  return typeof hash === 'string' && typeof group === 'string';
}

function fail(field: string, value: unknown, expected: string): never {
  const shown = typeof value === 'string' ? JSON.stringify(value) : typeof value;
  throw new RuntimeError(
    'bad_child_spec',
    `child spec: ${field} is ${shown}, expected ${expected}`,
  );
}
