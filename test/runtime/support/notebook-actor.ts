/** An actor that keeps what it is told to, and says how that ended; of two versions. */
import type { ActorDefinition, Durability } from '../../../runtime/actor.ts';
import { codeOf } from '../../../runtime/errors.ts';

export interface Page {
  readonly value: unknown;
  readonly durability: Durability;
}

export interface NotebookProtocol {
  /** '' or the code of the refusal. */
  write(page: Page): string;
  /** Of so many saves at once. */
  writeMany(request: { readonly count: number; readonly durability: Durability }): string[];
  /** The value, or the code of the refusal. */
  read(nothing: null): unknown;
  /** The value that was there when it started. */
  first(nothing: null): unknown;
  /** Ends, and saves when it has; the codes come out in `afterlife`. */
  crashAndWrite(value: unknown): void;
  crash(nothing: null): void;
  exit(nothing: null): void;
}

/** What happened to the saves of incarnations that were over, in this thread. */
export const afterlife: string[] = [];

type Notebook = ActorDefinition<NotebookProtocol, NotebookProtocol, null, unknown, unknown>;

const parts: Omit<Notebook, 'export'> = {
  module: import.meta.url,
  name: 'notebook',
  mailbox: { limitMessages: 100_000, overflow: 'reject' },
  start: (self) => self.state.load().catch(codeOf),
  receive: {
    write: (_state, { value, durability }, self) => coded(self.state.save(value, { durability })),
    writeMany: (_state, { count, durability }, self) =>
      Promise.all(
        Array.from({ length: count }, (_, n) => coded(self.state.save({ n }, { durability }))),
      ),
    read: (_state, _nothing, self) => self.state.load().catch(codeOf),
    first: (state) => state,
    crashAndWrite(_state, value, self) {
      void Promise.resolve()
        .then(() => coded(self.state.save(value, { durability: 'committed' })))
        .then((code) => afterlife.push(code));
      throw new Error('told to');
    },
    crash() {
      throw new Error('told to');
    },
    exit() {
      process.exit(3);
    },
  },
};

export const notebookActor: Notebook = { ...parts, export: 'notebookActor' };

/** Of the next version: what was `n` is `total`. */
export const notebookActor2: Notebook = {
  ...parts,
  export: 'notebookActor2',
  state: {
    version: 2,
    migrate(value, fromVersion) {
      const { n } = value as { n: number };
      if (n < 0) throw new Error('told to');
      return { total: n, fromVersion };
    },
  },
};

function coded(work: Promise<void>): Promise<string> {
  return work.then(() => '', codeOf);
}
