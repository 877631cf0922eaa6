/** Waiting for a fact about a fake server, with a deadline that names it. */

export interface Watch {
  /** Something changed: every waiting fact is looked at again. */
  changed(): void;
  /** Settles once `isTrue`; rejects after `deadlineMs` with the fact's name and what `describe` says of the moment. */
  until(fact: string, isTrue: () => boolean, deadlineMs: number): Promise<void>;
}

export function createWatch(describe: () => string): Watch {
  const waiting = new Set<() => void>();
  return {
    changed() {
      for (const look of [...waiting]) look();
    },
    until(fact, isTrue, deadlineMs) {
      if (isTrue()) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const end = (finish: () => void) => {
          clearTimeout(timer);
          waiting.delete(look);
          finish();
        };
        const look = () => {
          if (isTrue()) end(resolve);
        };
        const timer = setTimeout(
          () =>
            end(() => reject(new Error(`not within ${deadlineMs} ms: ${fact} (${describe()})`))),
          deadlineMs,
        );
        waiting.add(look);
      });
    },
  };
}
