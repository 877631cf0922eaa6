/** A child as data: what to start, where, and what its end means. Data, so any thread can start it and any log can print it. */
import { type ChildEnded, type Mailbox, OVERFLOWS } from './actor.ts';
import { messageOf, RuntimeError } from './errors.ts';

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
  /** Of this child alone: beside its supervisor's own, or in its place where that degrades. */
  readonly restartLimit?: RestartLimit;
  /** Its end, without a restart, may be that of its supervisor: `autoShutdown`. Never of a permanent child. */
  readonly significant?: boolean;
  /**
   * One that has handled nothing for so long, and waits for nothing, is ended in order; its name stays, and its next message
   * starts it again. Default: never.
   */
  readonly passivateAfterMs?: number;
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

/** More than `intensity` charged restarts within `periodMs` are one too many. */
export interface RestartLimit {
  readonly intensity: number;
  readonly periodMs: number;
}

export const AUTO_SHUTDOWNS = ['never', 'any_significant', 'all_significant'] as const;
/** Which ends of significant children end their supervisor in order, OTP's `auto_shutdown`. */
export type AutoShutdown = (typeof AUTO_SHUTDOWNS)[number];

/** What a supervisor does about a child that ended abnormally; `restart`: as its spec says. */
export type Verdict = 'restart' | 'stop' | 'escalate';

/** How an actor supervises its children. The limit is on the restarts of all of them; with `degrade`, on those of each. */
export interface Supervision extends RestartLimit {
  readonly strategy: Strategy;
  readonly backoff?: Partial<Backoff>;
  /** `escalate` (default): the supervisor itself crashes · `degrade`: it reports so and keeps retrying that child at `maxMs`. */
  readonly whenExhausted?: 'escalate' | 'degrade';
  /** Asked about each abnormal end, before the limits. `escalate`: the supervisor ends with the same cause. */
  readonly decide?: (ended: ChildEnded) => Verdict;
  /** Default `never`. */
  readonly autoShutdown?: AutoShutdown;
  /** Beyond it `spawn` throws `too_many_children`. Default: no limit. */
  readonly maxChildren?: number;
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
  checkName('start.module', spec.start.module);
  checkName('start.export', spec.start.export);
  if (!RESTARTS.includes(spec.restart)) fail('restart', spec.restart, RESTARTS.join(' | '));
  const { shutdownTimeoutMs, placement } = spec;
  if (!Number.isFinite(shutdownTimeoutMs) || shutdownTimeoutMs < 0) {
    fail('shutdownTimeoutMs', shutdownTimeoutMs, 'milliseconds, 0 = kill');
  }
  if (!isPlacement(placement)) {
    fail('placement', placement, "'main' | 'pool' | 'own' | 'with-parent' | { hash, group? }");
  }
  if (placement !== 'main' && placement !== 'with-parent') checkArgs(spec.start.args);
  const { restartLimit, significant = false, passivateAfterMs } = spec;
  if (passivateAfterMs !== undefined && !(passivateAfterMs > 0 && passivateAfterMs < 2 ** 31))
    fail('passivateAfterMs', passivateAfterMs, 'milliseconds above 0');
  if (passivateAfterMs !== undefined && shutdownTimeoutMs === 0)
    fail('shutdownTimeoutMs', shutdownTimeoutMs, 'time to stop in, as it is passivated');
  if (restartLimit !== undefined) checkLimit('restartLimit.', restartLimit);
  if (typeof significant !== 'boolean') fail('significant', significant, 'a boolean');
  if (significant && spec.restart === 'permanent')
    fail('restart', spec.restart, 'transient or temporary, as it is significant');
  return spec;
}

/** Gives the supervision back, or throws `bad_child_spec` naming the field, the value and what was expected. */
export function checkSupervision(supervision: Supervision): Supervision {
  if (typeof supervision !== 'object' || supervision === null)
    fail('supervision', supervision, 'an object');
  const { strategy, whenExhausted = 'escalate', autoShutdown = 'never' } = supervision;
  if (!STRATEGIES.includes(strategy)) fail('strategy', strategy, STRATEGIES.join(' | '));
  checkLimit('', supervision);
  if (whenExhausted !== 'escalate' && whenExhausted !== 'degrade')
    fail('whenExhausted', whenExhausted, 'escalate | degrade');
  if (!AUTO_SHUTDOWNS.includes(autoShutdown))
    fail('autoShutdown', autoShutdown, AUTO_SHUTDOWNS.join(' | '));
  const { maxChildren = 1, startTimeoutMs = 1, backoff = {}, children = [], decide } = supervision;
  if (!(maxChildren >= 0)) fail('maxChildren', maxChildren, 'a number, 0 or more');
  if (!(startTimeoutMs > 0)) fail('startTimeoutMs', startTimeoutMs, 'milliseconds above 0');
  if (decide !== undefined && typeof decide !== 'function') fail('decide', decide, 'a function');
  checkBackoff(backoff);
  for (const spec of children) {
    checkChildSpec(spec);
    if (spec.significant === true && autoShutdown === 'never')
      fail('autoShutdown', autoShutdown, `one that heeds '${spec.id}', which is significant`);
  }
  return supervision;
}

/** Gives the mailbox back, or throws `bad_child_spec` naming the field, the value and what was expected. */
export function checkMailbox(mailbox: Mailbox): Mailbox {
  const { limitMessages, limitBytes = 1, overflow } = mailbox;
  for (const [field, limit] of Object.entries({ limitMessages, limitBytes })) {
    if (!(Number.isSafeInteger(limit) && limit > 0))
      fail(`mailbox.${field}`, limit, 'a whole number above 0');
  }
  if (!OVERFLOWS.includes(overflow)) fail('mailbox.overflow', overflow, OVERFLOWS.join(' | '));
  return mailbox;
}

function checkName(field: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') fail(field, value, 'a name');
}

/** Another thread gets a copy. */
function checkArgs(args: unknown): void {
  try {
    structuredClone(args);
  } catch (error) {
    fail('start.args', args, `data that another thread can be given (${messageOf(error)})`);
  }
}

function checkLimit(at: string, { intensity, periodMs }: RestartLimit): void {
  if (!(Number.isInteger(intensity) && intensity >= 0))
    fail(`${at}intensity`, intensity, 'a whole number, 0 or more');
  if (!(Number.isFinite(periodMs) && periodMs > 0))
    fail(`${at}periodMs`, periodMs, 'milliseconds above 0');
}

function checkBackoff(backoff: Partial<Backoff>): void {
  const { minMs = 0, maxMs = minMs, factor = 1, jitter = 0, resetAfterMs = 0 } = backoff;
  if (!(minMs >= 0)) fail('backoff.minMs', minMs, 'milliseconds, 0 or more');
  if (!(maxMs >= minMs)) fail('backoff.maxMs', maxMs, `milliseconds, at least ${minMs}`);
  if (!(factor >= 1)) fail('backoff.factor', factor, 'a number, 1 or more');
  if (!(jitter >= 0 && jitter <= 1)) fail('backoff.jitter', jitter, '0 to 1');
  if (!(resetAfterMs >= 0)) fail('backoff.resetAfterMs', resetAfterMs, 'milliseconds, 0 or more');
}

function isPlacement(value: unknown): value is Placement {
  if (value === 'with-parent' || value === 'main' || value === 'pool' || value === 'own')
    return true;
  if (typeof value !== 'object' || value === null) return false;
  const { hash, group = '' } = value as { readonly hash?: unknown; readonly group?: unknown };
  return typeof hash === 'string' && typeof group === 'string';
}

function fail(field: string, value: unknown, expected: string): never {
  const shown =
    typeof value === 'string'
      ? JSON.stringify(value)
      : typeof value === 'number' || value === null
        ? String(value)
        : typeof value;
  throw new RuntimeError(
    'bad_child_spec',
    `child spec: ${field} is ${shown}, expected ${expected}`,
  );
}
