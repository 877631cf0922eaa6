/**
 * What does it cost an actor to keep something? A hundred actors save, one flushed save after the other each, against as many
 * writers that put the same bytes into an LMDB of their own; a thousand actors start and load, against bare reads of it. A
 * good rate of saves is half of the puts: each is an ask besides, checked, fenced, and in the journal. A restore has no peer that does as much: it starts an actor.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { pack, unpack } from 'msgpackr';
import { createSystem } from '../runtime/index.ts';
import { openLmdbStore } from '../runtime/store/index.ts';
import type { BenchCase, Contest } from './bench-case.ts';
import { startOne } from './open-system.ts';
import { PAGE, shelfActor } from './shelf.ts';

const SAVERS = 100;
const SAVES_EACH = 200;
const RESTORED = 1_000;
const MINUTE = { inMs: 60_000 };

async function openBoth() {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-state-'));
  const store = await openLmdbStore({ directory: join(directory, 'ours') });
  const peer = open<Buffer, string>({
    path: join(directory, 'peer'),
    encoding: 'binary',
    overlappingSync: false,
  });
  const system = await createSystem({
    name: 'bench',
    threads: 'inline',
    checkMessages: false,
    store,
  });
  const shelf = await startOne(system, shelfActor, 'shelf', null);
  return {
    peer,
    open: (books: number) => system.ask(shelf, 'open', books, MINUTE),
    save: (timesEach: number) => system.ask(shelf, 'save', timesEach, MINUTE),
    clear: () => system.ask(shelf, 'close', null, MINUTE),
    async close() {
      await system.stop();
      await store.close();
      await peer.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export const stateSave: BenchCase = {
  name: 'state-save',
  unit: 'flushed saves/s',
  peerName: 'lmdb put',
  bar: 0.4,
  async open(scale): Promise<Contest> {
    const { peer, open: openBooks, save, close } = await openBoth();
    await openBooks(SAVERS);
    const each = Math.ceil(SAVES_EACH * scale);
    return {
      ours: () => save(each),
      async peer() {
        const writer = async (_: unknown, writer: number) => {
          for (let n = 0; n < each; n += 1)
            await peer.put(`book-${writer}`, pack({ ...PAGE, at: n }));
        };
        await Promise.all(Array.from({ length: SAVERS }, writer));
        return SAVERS * each;
      },
      close,
    };
  },
};

export const stateRestore: BenchCase = {
  name: 'state-restore',
  unit: 'actors/s',
  peerName: 'lmdb get',
  bar: 0,
  async open(scale): Promise<Contest> {
    const { peer, open: openBooks, save, clear, close } = await openBoth();
    const books = Math.ceil(RESTORED * scale);
    await openBooks(books);
    await save(1);
    await clear();
    for (let i = 0; i < books; i += 1) await peer.put(`book-${i}`, pack(PAGE));
    return {
      async ours() {
        if ((await openBooks(books)) !== books * PAGE.lines.length)
          throw new Error('not every actor found what it had saved');
        return books;
      },
      async peer() {
        let lines = 0;
        for (let i = 0; i < books; i += 1)
          lines += unpack(peer.get(`book-${i}`) ?? pack(PAGE)).lines.length;
        if (lines !== books * PAGE.lines.length) throw new Error('lines are missing');
        return books;
      },
      async settle() {
        await clear();
      },
      close,
    };
  },
};
