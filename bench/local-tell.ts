/**
 * How fast do two actors of one thread exchange messages? Two players, one ball. A good number is ten times nact's:
 * a message is three slots in a ring here and an object with closures and a timer hop there.
 */
import { dispatch, type Ref, spawnStateless, start, stop } from 'nact';
import { child, createSystem } from '../runtime/index.ts';
import type { BenchCase } from './bench-case.ts';
import { SETUP } from './plain-setup.ts';
import { playerActor } from './players.ts';

const OUR_EXCHANGES = 1_000_000;
const PEER_EXCHANGES = 100_000;

interface Ball {
  readonly from: Ref<Ball>;
  readonly left: number;
}

export const localTell: BenchCase = {
  name: 'local-tell/ping-pong',
  unit: 'messages/s',
  peerName: 'nact',
  bar: 10,
  async open(scale) {
    const system = await createSystem({ name: 'bench', threads: 'inline', thread: SETUP });
    const players = ['a', 'b'].map((id) => system.spawn(child(playerActor, { id, args: null })));
    await Promise.all(players.map((player) => system.started(player)));
    const [a, b] = players;
    if (a === undefined || b === undefined) throw new Error('no players');
    const nact = createNactMatch();
    return {
      ours: () =>
        system.ask(a, 'play', { opponent: b, rounds: OUR_EXCHANGES * scale }, { inMs: 60_000 }),
      peer: () => nact.play(PEER_EXCHANGES * scale),
      async close() {
        nact.close();
        await system.stop();
      },
    };
  },
};

function createNactMatch(): { play(rounds: number): Promise<number>; close(): void } {
  const system = start();
  let finished: () => void = () => undefined;
  const player = (name: string): Ref<Ball> =>
    spawnStateless(
      system,
      ({ from, left }: Ball, { self }: { readonly self: Ref<Ball> }) => {
        if (left > 0) dispatch(from, { from: self, left: left - 1 });
        else finished();
      },
      name,
    );
  const [a, b] = [player('a'), player('b')];
  return {
    play: (rounds) =>
      new Promise((resolve) => {
        finished = () => resolve(rounds * 2);
        dispatch(a, { from: b, left: rounds * 2 - 1 });
      }),
    close: () => stop(system),
  };
}
