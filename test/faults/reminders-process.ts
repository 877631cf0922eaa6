/** A process whose actor sets reminders until it is killed, says which are set and which it heard, and starts again. */
import { writeSync } from 'node:fs';
import { child, createSystem, defineActor, refTo, supervisor } from '../../runtime/index.ts';
import { REMINDERS_TABLE } from '../../runtime/state/keeper.ts';
import { openLmdbStore } from '../../runtime/store/index.ts';

interface ClerkProtocol {
  /** Sets so many, with names from `first` on. */
  fill(request: { readonly first: number; readonly count: number }): void;
}

interface Own {
  ring(name: string): void;
}

/** They are due while others are still being set, so that a kill meets all of it. */
const LONGEST_MS = 60;
const A_FILL = 5;
const PAUSE_MS = 20;

export const clerkActor = defineActor<ClerkProtocol, Own, null, null, unknown>({
  module: import.meta.url,
  export: 'clerkActor',
  name: 'clerk',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  reminders: true,
  start: () => null,
  receive: {
    fill(_state, { first, count }, self) {
      for (let n = first; n < first + count; n += 1) {
        const name = `r${n}`;
        const afterMs = Math.floor(self.random() * LONGEST_MS);
        self.remind(name, { afterMs }, 'ring', name).then(
          () => say(`set ${name}`),
          () => undefined,
        );
      }
    },
    ring: (_state, name) => say(`heard ${name}`),
  },
});

const [stateDirectory, firstName] = process.argv.slice(2);
if (stateDirectory !== undefined && process.argv[1]?.endsWith('reminders-process.js')) {
  await live(stateDirectory, Number(firstName));
}

/** With `first` below 0 it sets none, and ends when none is left. */
async function live(directory: string, first: number): Promise<void> {
  const store = await openLmdbStore({ directory });
  const system = await createSystem({ name: 'faults', threads: { pool: 1 }, store });
  const clerk = child(clerkActor, { id: 'clerk', args: null, placement: 'pool' });
  const limits = { strategy: 'one_for_one', intensity: 10, periodMs: 1_000 } as const;
  const root = system.spawn(supervisor('root', { ...limits, children: [clerk] }));
  await system.started(root);
  const clerkRef = refTo<ClerkProtocol>('faults', 'root/clerk');
  for (let n = first; first >= 0; n += A_FILL) {
    system.tell(clerkRef, 'fill', { first: n, count: A_FILL });
    await pause();
  }
  while (store.keys({ table: REMINDERS_TABLE, limit: 1 }).keys.length > 0) await pause();
  await system.stop();
  await store.close();
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

function say(line: string): void {
  writeSync(1, `${line}\n`);
}
