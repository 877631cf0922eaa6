/** A child that lives in another thread, as its supervisor on main sees it. */
import type { ActorRef, ExitCause } from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import { createDeferred, type Deferral } from '../deferred.ts';
import { codeOf, messageOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { createRef } from '../kernel/ref.ts';
import type { RouteTable } from '../link/route-table.ts';
import { Child, type ChildOwner } from '../supervision/child.ts';
import type { ThreadSlot } from './thread-slot.ts';

/** Beyond a child's own shutdown deadline, for the answer to come back. */
const ANSWER_MARGIN_MS = 1_000;
const START_CALL_TIMEOUT_MS = 30_000;

export interface RemoteChildOptions {
  readonly uid: number;
  readonly path: string;
  readonly spec: ChildSpec<unknown, unknown>;
  readonly owner: ChildOwner;
  readonly slot: ThreadSlot;
  readonly routes: RouteTable;
  readonly host: Host;
  disposed(child: RemoteChild): void;
}

export class RemoteChild extends Child {
  readonly ref: ActorRef<unknown>;
  readonly uid: number;
  readonly path: string;
  readonly slot: ThreadSlot;
  readonly #options: RemoteChildOptions;
  /** The incarnation that runs or starts; 0 between two. */
  #live = 0;
  /** Whether the thread was told to start this incarnation: before that there is nothing in it to stop. */
  #isCalled = false;
  #over: Deferral<void> | undefined = undefined;
  #isDisposed = false;

  constructor(options: RemoteChildOptions) {
    super(options.spec, options.owner);
    this.#options = options;
    this.uid = options.uid;
    this.path = options.path;
    this.slot = options.slot;
    this.ref = createRef(options.path, options.uid);
    options.routes.opening(options.path);
  }

  newRef(): ActorRef<unknown> {
    return this.ref;
  }

  get isLive(): boolean {
    return this.#live !== 0;
  }

  start(incarnation: number): void {
    this.incarnation = incarnation;
    this.#live = incarnation;
    this.#isCalled = false;
    this.#options.routes.opening(this.path);
    this.#start(incarnation).catch((error: unknown) => {
      this.ended(incarnation, { kind: 'crashed', code: codeOf(error), message: messageOf(error) });
    });
  }

  async stop(timeoutMs: number): Promise<void> {
    if (this.#live === 0) return;
    if (!this.#isCalled) {
      this.ended(this.#live, { kind: 'stopped', code: 'shutdown' });
      return;
    }
    this.#over ??= createDeferred<void>();
    const over = this.#over.promise;
    const incarnation = this.#live;
    const timer = this.#options.host.setTimer(timeoutMs + ANSWER_MARGIN_MS, () => {
      this.ended(incarnation, { kind: 'killed', code: 'shutdown_timeout' });
    });
    this.slot
      .call('stop', (thread) => thread.stop(this.uid, timeoutMs), timeoutMs + ANSWER_MARGIN_MS)
      .catch(() => undefined);
    await over;
    timer.cancel();
  }

  kill(code: string): void {
    const incarnation = this.#live;
    const gone = () => this.ended(incarnation, { kind: 'killed', code });
    if (!this.#isCalled) {
      gone();
      return;
    }
    this.slot
      .call('kill', (thread) => thread.kill(this.uid, code), ANSWER_MARGIN_MS)
      .then((isThere) => isThere || gone(), gone);
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#live = 0;
    this.#over?.resolve();
    this.#options.routes.closed(this.path);
    this.slot.dispose(this.uid);
    this.#options.disposed(this);
  }

  started(incarnation: number): void {
    if (incarnation === this.#live) this.owner.started(this);
  }

  ended(incarnation: number, cause: ExitCause): void {
    if (incarnation !== this.#live || incarnation === 0) return;
    this.#live = 0;
    this.#over?.resolve();
    this.#over = undefined;
    this.owner.ended(this, cause);
  }

  lost(cause: ExitCause): void {
    this.ended(this.#live, cause);
  }

  async #start(incarnation: number): Promise<void> {
    await this.slot.ready;
    if (incarnation !== this.#live || this.#isDisposed) return;
    const { uid, path, spec } = this;
    const { routes } = this.#options;
    this.#isCalled = true;
    await this.slot.call(
      'start',
      (thread) => thread.start({ uid, path, spec, incarnation }),
      START_CALL_TIMEOUT_MS,
    );
    if (incarnation === this.#live && !this.#isDisposed) routes.opened(path, this.slot.slot);
  }
}
