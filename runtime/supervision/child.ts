/** One child as its supervisor keeps it: what it is, how far it is, and how often it has come back. */
import type { ChildEnded, ExitCause } from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import { createDeferred, type Deferral } from '../deferred.ts';
import type { Timer } from '../host/host.ts';
import type { ChildHandle, ChildOwner } from './child-handle.ts';

/** Hears what happens to its children. */
export interface ChildKeeper {
  childStarted(child: Child): void;
  childOver(child: Child, cause: ExitCause): void;
}

/** What most children never have. */
class ChildTrouble {
  backoffStep = 0;
  /** Of its charged restarts, where it has a limit of its own. */
  history: readonly number[] = [];
  /** A limit of its restarts was reached, and it goes on at the longest delay. */
  isExhausted = false;
  /** Who waits for the incarnation that is starting. */
  starting: Deferral<void> | undefined = undefined;
  /** Its stop under way: whoever stops it too waits for this one. */
  halting: Promise<void> | undefined = undefined;
}

export class Child implements ChildOwner {
  readonly spec: ChildSpec<unknown, unknown>;
  /** Given right after it is made: placing a child needs its owner. */
  handle!: ChildHandle;
  status: 'starting' | 'running' | 'restarting' | 'stopping' | 'gone' = 'starting';
  incarnation = 0;
  startedAtMs = 0;
  /** The deadline of the start under way, or the delay before it. */
  timer: Timer | undefined = undefined;
  trouble: ChildTrouble | undefined = undefined;
  /** Undefined once it is gone: whoever still holds the child holds nothing of its supervisor. */
  #keeper: ChildKeeper | undefined;

  constructor(spec: ChildSpec<unknown, unknown>, keeper: ChildKeeper) {
    this.spec = spec;
    this.#keeper = keeper;
  }

  ensureTrouble(): ChildTrouble {
    this.trouble ??= new ChildTrouble();
    return this.trouble;
  }

  started(incarnation: number): void {
    if (incarnation === this.incarnation) this.#keeper?.childStarted(this);
  }

  ended(incarnation: number, cause: ExitCause): void {
    if (incarnation === this.incarnation) this.#keeper?.childOver(this, cause);
  }

  /** It is not coming back. */
  leave(): void {
    this.status = 'gone';
    this.cancelTimer();
    this.#keeper = undefined;
  }

  get isAwaited(): boolean {
    return this.trouble?.starting !== undefined;
  }

  /** Settles with the start under way, or the next one. */
  whenStarted(): Promise<void> {
    const trouble = this.ensureTrouble();
    trouble.starting ??= createDeferred<void>();
    return trouble.starting.promise;
  }

  /** To who waits for it: it has started, or ended by `cause`. */
  settleStart(cause?: ExitCause): void {
    const { trouble } = this;
    const starting = trouble?.starting;
    if (trouble === undefined || starting === undefined) return;
    trouble.starting = undefined;
    if (cause === undefined) starting.resolve();
    else starting.reject(toError(this.handle.ref.address, cause));
  }

  cancelTimer(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  toEnded(cause: ExitCause): ChildEnded {
    return { id: this.spec.id, ref: this.handle.newRef(), incarnation: this.incarnation, cause };
  }
}

function toError(address: string, cause: ExitCause): Error & { readonly exit: ExitCause } {
  const error = new Error(`${address} ended: ${cause.code}: ${cause.message ?? ''}`);
  return Object.assign(error, { code: cause.code, exit: cause });
}
