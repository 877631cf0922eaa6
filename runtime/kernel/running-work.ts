/** The work that one incarnation has under way outside its mailbox; what is left is aborted when it ends. */

/** Aborting without a reason makes a `DOMException` with a stack each time. */
const OVER = Object.assign(new Error('the work is not wanted any more'), {
  name: 'AbortError',
  code: 'work_aborted',
});

export class RunningWork {
  #controllers: Set<AbortController> | undefined = undefined;
  #own: AbortController | undefined = undefined;

  /** The incarnation's own signal. */
  signal(): AbortSignal {
    this.#own ??= this.begin();
    return this.#own.signal;
  }

  begin(): AbortController {
    const controller = new AbortController();
    this.#controllers ??= new Set();
    this.#controllers.add(controller);
    return controller;
  }

  end(controller: AbortController): void {
    this.#controllers?.delete(controller);
  }

  abort(controller: AbortController): void {
    controller.abort(OVER);
  }

  abortAll(): void {
    const controllers = this.#controllers;
    this.#controllers = undefined;
    this.#own = undefined;
    for (const controller of controllers ?? []) controller.abort(OVER);
  }
}
