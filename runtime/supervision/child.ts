/** One child wherever it runs, and what its supervisor keeps of it: how far it is, and how often it has come back. */
import type { ActorRef, ChildEnded, ExitCause } from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import { createDeferred, type Deferral } from '../deferred.ts';
import type { Timer } from '../host/host.ts';

/** Hears of its children: one of the two after each `start`. */
export interface ChildOwner {
  started(child: Child): void;
  ended(child: Child, cause: ExitCause): void;
}

const NO_OWNER: ChildOwner = { started: () => undefined, ended: () => undefined };

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

/** The actor itself, or what stands for it where it runs in another thread: an object for each, kept small. */
export abstract class Child {
  readonly spec: ChildSpec<unknown, unknown>;
  owner: ChildOwner;
  /** As its supervisor sees it. */
  stage: 'starting' | 'running' | 'restarting' | 'stopping' | 'gone' = 'starting';
  incarnation = 0;
  startedAtMs = 0;
  /** The deadline of the start under way, or the delay before it. */
  timer: Timer | undefined = undefined;
  trouble: ChildTrouble | undefined = undefined;
  abstract readonly ref: ActorRef<unknown>;

  constructor(spec: ChildSpec<unknown, unknown>, owner: ChildOwner) {
    this.spec = spec;
    this.owner = owner;
  }

  /** The same address, in an object that it does not keep. */
  abstract newRef(): ActorRef<unknown>;
  abstract start(incarnation: number): void;
  /** Stops in order, kills after the timeout; settles when the incarnation is over. Undefined: it is over already. */
  abstract stop(timeoutMs: number): Promise<void> | undefined;
  abstract kill(code: string): void;
  /** Not coming back: what waits in its mailbox becomes dead letters. */
  abstract dispose(): void;

  ensureTrouble(): ChildTrouble {
    this.trouble ??= new ChildTrouble();
    return this.trouble;
  }

  /** It is not coming back: whoever still holds it has no way to its supervisor. */
  leave(): void {
    this.stage = 'gone';
    this.cancelTimer();
    this.owner = NO_OWNER;
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
    else starting.reject(toError(this.ref.address, cause));
  }

  cancelTimer(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  toEnded(cause: ExitCause): ChildEnded {
    return { id: this.spec.id, ref: this.newRef(), incarnation: this.incarnation, cause };
  }
}

function toError(address: string, cause: ExitCause): Error & { readonly exit: ExitCause } {
  const error = new Error(`${address} ended: ${cause.code}: ${cause.message ?? ''}`);
  return Object.assign(error, { code: cause.code, exit: cause });
}
