/** The work that one incarnation has under way outside its mailbox; what is left is aborted when it ends. */

/** Aborting without a reason makes a `DOMException` with a stack each time. */
const OVER = Object.assign(new Error('the work is not wanted any more'), {
  name: 'AbortError',
  code: 'work_aborted',
});

/** What a piece of work gets. Its signal is made when it is first looked at: most work ends before anybody does. */
export class Work {
  #controller: AbortController | undefined = undefined;
  #isAborted = false;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort(OVER);
    }
    return this.#controller.signal;
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort(OVER);
  }
}

export class RunningWork {
  #running: Set<Work> | undefined = undefined;
  #own: Work | undefined = undefined;

  /** The incarnation's own signal. */
  signal(): AbortSignal {
    this.#own ??= this.begin();
    return this.#own.signal;
  }

  /** But for the incarnation's own signal. */
  get isEmpty(): boolean {
    return (this.#running?.size ?? 0) === (this.#own === undefined ? 0 : 1);
  }

  begin(): Work {
    const work = new Work();
    this.#running ??= new Set();
    this.#running.add(work);
    return work;
  }

  end(work: Work): void {
    this.#running?.delete(work);
  }

  abortAll(): void {
    const running = this.#running;
    this.#running = undefined;
    this.#own = undefined;
    for (const work of running ?? []) work.abort();
  }
}
