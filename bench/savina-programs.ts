/**
 * How fast do the programs of the Savina suite run in one thread, against nact? From the start of a system to its end, and
 * each round must come to the right answer. A good number is ten where few messages are under way, as nact spends a turn of the
 * event loop on each of them, and four or five where a hundred of its actors share a turn, or are started.
 */
import { start, stop } from 'nact';
import type { BenchCase, Contest } from './bench-case.ts';
import { openInline } from './open-system.ts';
import * as nact from './peers/nact-savina.ts';
import { big } from './savina/big.ts';
import { boundedBuffer } from './savina/bounded-buffer.ts';
import { counting } from './savina/counting.ts';
import { forkJoinCreate } from './savina/fork-join-create.ts';
import { forkJoinThroughput } from './savina/fork-join-throughput.ts';
import { philosophers } from './savina/philosophers.ts';
import { pingPong } from './savina/ping-pong.ts';
import type { Program } from './savina/program.ts';
import { threadRing } from './savina/thread-ring.ts';

interface Sizes {
  readonly ours: number;
  /** Smaller where nact is so slow that its rounds would take all the time; both are rates. */
  readonly peer: number;
}

export const savinaPrograms: readonly BenchCase[] = [
  programCase(pingPong, nact.pingPong, 10, { ours: 2_000_000, peer: 100_000 }),
  programCase(counting, nact.counting, 10, { ours: 3_000_000, peer: 200_000 }),
  programCase(forkJoinThroughput, nact.forkJoinThroughput, 5, { ours: 30_000, peer: 2_000 }),
  programCase(forkJoinCreate, nact.forkJoinCreate, 4, { ours: 150_000, peer: 40_000 }),
  programCase(threadRing, nact.threadRing, 10, { ours: 3_000_000, peer: 150_000 }),
  programCase(big, nact.big, 4, { ours: 10_000, peer: 2_000 }),
  programCase(boundedBuffer, nact.boundedBuffer, 5, { ours: 20_000, peer: 1_500 }),
  programCase(philosophers, nact.philosophers, 10, { ours: 40_000, peer: 2_000 }),
];

function programCase(
  program: Program,
  peer: nact.NactProgram,
  bar: number,
  sizes: Sizes,
): BenchCase {
  return {
    name: `savina/${program.name}`,
    unit: program.unit,
    peerName: 'nact',
    bar,
    async open(scale): Promise<Contest> {
      const ourSize = Math.ceil(sizes.ours * scale);
      const peerSize = Math.ceil(sizes.peer * scale);
      return {
        async ours() {
          const system = await openInline();
          check(program, ourSize, await program.run(system, ourSize));
          await system.stop();
          return program.units(ourSize);
        },
        async peer() {
          const system = start();
          check(program, peerSize, await peer(system, peerSize));
          stop(system);
          return program.units(peerSize);
        },
        close: async () => undefined,
      };
    },
  };
}

function check(program: Program, size: number, answer: number): void {
  const expected = program.answer(size);
  if (answer !== expected)
    throw new Error(`${program.name} of ${size} answers ${answer}, not ${expected}`);
}
