/** The client of one request: whether it is still there. Its signal is made at the first use; most handlers never look. */
import type { HttpClient } from './http-server.ts';

export class RequestClient implements HttpClient {
  #abort: AbortController | undefined = undefined;
  #isGone = false;

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#isGone) this.#abort.abort();
    return this.#abort.signal;
  }

  gone(): void {
    this.#isGone = true;
    this.#abort?.abort();
  }
}
