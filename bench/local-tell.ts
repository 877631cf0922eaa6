/**
 * How fast do actors of one thread exchange messages? Two players and one ball; a thousand senders and twenty sinks; and
 * beside XState's `send`, which is a call that runs at once and not a message that waits for its turn. A good number is ten
 * times nact's, five for the crowd, twice XState's: a message is three slots in a ring here.
 */
import { createActor, fromTransition } from 'xstate';
import type { BenchCase, Contest } from './bench-case.ts';
import { crowdActor } from './crowd.ts';
import { openInline, startOne } from './open-system.ts';
import { createNactPeer } from './peers/nact.ts';
import { playerActor } from './players.ts';

const OUR_EXCHANGES = 1_000_000;
const PEER_EXCHANGES = 100_000;
const OUR_EACH = 500;
const PEER_EACH = 50;
const SENDS = 1_000_000;
const MINUTE = { inMs: 60_000 };

async function openPlayers(): Promise<{
  play(exchanges: number): Promise<number>;
  close(): Promise<void>;
}> {
  const system = await openInline();
  const a = await startOne(system, playerActor, 'a', null);
  const b = await startOne(system, playerActor, 'b', null);
  return {
    play: (rounds) => system.ask(a, 'play', { opponent: b, rounds }, MINUTE),
    close: () => system.stop(),
  };
}

export const localTell: BenchCase = {
  name: 'local-tell/ping-pong',
  unit: 'messages/s',
  peerName: 'nact',
  bar: 10,
  async open(scale): Promise<Contest> {
    const players = await openPlayers();
    const nact = createNactPeer();
    return {
      ours: () => players.play(OUR_EXCHANGES * scale),
      peer: () => nact.pingPong(PEER_EXCHANGES * scale),
      async close() {
        nact.close();
        await players.close();
      },
    };
  },
};

export const localFanIn: BenchCase = {
  name: 'local-tell/fan-in',
  unit: 'messages/s',
  peerName: 'nact',
  bar: 5,
  async open(scale): Promise<Contest> {
    const system = await openInline();
    const crowd = await startOne(system, crowdActor, 'crowd', null);
    const nact = createNactPeer();
    return {
      ours: () => system.ask(crowd, 'go', Math.ceil(OUR_EACH * scale), MINUTE),
      peer: () => nact.fanIn(Math.ceil(PEER_EACH * scale)),
      async close() {
        nact.close();
        await system.stop();
      },
    };
  },
};

export const localXstate: BenchCase = {
  name: 'local-tell/xstate',
  unit: 'messages/s',
  peerName: 'xstate send (a call)',
  bar: 2,
  async open(scale): Promise<Contest> {
    const players = await openPlayers();
    const counter = createActor(
      fromTransition((count: number, _event: { readonly type: 'add' }) => count + 1, 0),
    );
    counter.start();
    const add = { type: 'add' } as const;
    return {
      ours: () => players.play(OUR_EXCHANGES * scale),
      async peer() {
        for (let i = 0; i < SENDS * scale; i += 1) counter.send(add);
        return SENDS * scale;
      },
      async close() {
        counter.stop();
        await players.close();
      },
    };
  },
};
