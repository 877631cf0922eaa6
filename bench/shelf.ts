/** Many small actors of one thread that keep something, for the bench of their state. */
import { type ActorRef, child, defineActor, type Supervision } from '../runtime/index.ts';

/** About a hundred bytes. */
export const PAGE = { id: 1, title: 'a page that is kept', lines: ['one', 'two', 'three'], at: 1 };

interface BookProtocol {
  save(times: number): number;
  lines(nothing: null): number;
}

export const bookActor = defineActor<BookProtocol, BookProtocol, null, typeof PAGE, unknown>({
  module: import.meta.url,
  export: 'bookActor',
  name: 'book',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: async (self) => (await self.state.load<typeof PAGE>()) ?? { ...PAGE, lines: [] },
  receive: {
    async save(_state, times, self) {
      for (let n = 0; n < times; n += 1)
        await self.state.save({ ...PAGE, at: n }, { durability: 'committed' });
      return times;
    },
    lines: ({ lines }) => lines.length,
  },
});

export interface ShelfProtocol {
  /** Starts so many books; answers with how many lines they have, when all run. */
  open(books: number): number;
  /** Each book saves so often, one save after the other. */
  save(timesEach: number): number;
  /** How many there were. */
  close(nothing: null): number;
}

const MINUTE = { inMs: 60_000 };
const PLENTY: Supervision = { strategy: 'one_for_one', intensity: 0, periodMs: 1 };

export const shelfActor = defineActor<
  ShelfProtocol,
  ShelfProtocol,
  null,
  { books: readonly ActorRef<BookProtocol>[] },
  unknown
>({
  module: import.meta.url,
  export: 'shelfActor',
  name: 'shelf',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => PLENTY,
  start: () => ({ books: [] }),
  receive: {
    async open(state, books, self) {
      state.books = Array.from({ length: books }, (_, i) =>
        self.spawn(child(bookActor, { id: `book-${i}`, args: null })),
      );
      const lines = state.books.map((book) => self.ask(book, 'lines', null, MINUTE));
      return (await Promise.all(lines)).reduce((sum, count) => sum + count, 0);
    },
    async save({ books }, timesEach, self) {
      const saves = books.map((book) => self.ask(book, 'save', timesEach, MINUTE));
      return (await Promise.all(saves)).reduce((sum, count) => sum + count, 0);
    },
    async close(state, _nothing, self) {
      const children = self.children();
      await Promise.all(children.map(({ id }) => self.stopChild(id)));
      state.books = [];
      return children.length;
    },
  },
});
