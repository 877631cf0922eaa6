/**
 * nact as the peer of the Savina programs: the same games with as many actors, written as its documentation has them. Its
 * mailboxes have no bound, so its producers never wait.
 */
import { type ActorSystemRef, dispatch, query, type Ref, spawn, spawnStateless, stop } from 'nact';
import { following, PLAYERS } from '../savina/big.ts';
import {
  CONSUMERS,
  type Consumed,
  type Offer,
  PLACES,
  PRODUCERS,
} from '../savina/bounded-buffer.ts';
import { ALIVE } from '../savina/fork-join-create.ts';
import { WORKERS } from '../savina/fork-join-throughput.ts';
import { PHILOSOPHERS } from '../savina/philosophers.ts';
import { MEMBERS } from '../savina/thread-ring.ts';

/** Runs the program once in a system that has not run it before; gives back its answer. */
export type NactProgram = (system: ActorSystemRef, size: number) => Promise<number>;

const MINUTE_MS = 60_000;

export const pingPong: NactProgram = (system, size) =>
  new Promise((resolve) => {
    let left = size;
    let pongs = 0;
    const ping: Ref<number> = spawnStateless(
      system,
      (n: number) => {
        if (n !== left) throw new Error(`pong ${n} is none of ping ${left}`);
        pongs += 1;
        left -= 1;
        if (left > 0) dispatch(pong, left);
        else resolve(pongs);
      },
      'ping',
    );
    const pong: Ref<number> = spawnStateless(system, (n: number) => dispatch(ping, n), 'pong');
    dispatch(pong, size);
  });

export const counting: NactProgram = async (system, size) => {
  const counter = spawnAdder(system, 'counter');
  for (let i = 0; i < size; i += 1) dispatch(counter, 1);
  return query(counter, (asker: Ref<number>) => asker, MINUTE_MS);
};

export const forkJoinThroughput: NactProgram = async (system, size) => {
  const workers = Array.from({ length: WORKERS }, (_, i) => spawnAdder(system, `worker-${i}`));
  for (let n = 0; n < size; n += 1) {
    for (const worker of workers) dispatch(worker, n);
  }
  const sums = workers.map((worker) => query(worker, (asker: Ref<number>) => asker, MINUTE_MS));
  return (await Promise.all(sums)).reduce((all, sum) => all + sum, 0);
};

/** Adds the numbers that it gets, and tells who asks. */
function spawnAdder(system: ActorSystemRef, name: string): Ref<number | Ref<number>> {
  return spawn(
    system,
    (sum: number, message: number | Ref<number>) => {
      if (typeof message === 'number') return sum + message;
      dispatch(message, sum);
      return sum;
    },
    name,
    { initialState: 0 },
  );
}

export const forkJoinCreate: NactProgram = (system, size) =>
  new Promise((resolve) => {
    let started = 0;
    let done = 0;
    let sum = 0;
    const parent: Ref<number> = spawnStateless(
      system,
      (n: number) => {
        sum += n;
        done += 1;
        if (done === size) resolve(sum);
        else if (done === started) startMore();
      },
      'parent',
    );
    const startMore = () => {
      const end = Math.min(size, started + ALIVE);
      for (; started < end; started += 1) {
        const task: Ref<number> = spawnStateless(
          parent,
          (n: number) => {
            dispatch(parent, n);
            stop(task);
          },
          `task-${started}`,
        );
        dispatch(task, started);
      }
    };
    startMore();
  });

export const threadRing: NactProgram = (system, size) =>
  new Promise((resolve) => {
    const members: Ref<number>[] = Array.from({ length: MEMBERS }, (_, position) =>
      spawnStateless(
        system,
        (hopsLeft: number) => {
          const next = members[(position + 1) % MEMBERS];
          if (hopsLeft > 0 && next !== undefined) dispatch(next, hopsLeft - 1);
          else resolve(position);
        },
        `member-${position}`,
      ),
    );
    const [first] = members;
    if (first !== undefined) dispatch(first, size);
  });

type Play = { readonly kind: 'ping' | 'pong'; readonly from: number };

export const big: NactProgram = (system, size) =>
  new Promise((resolve) => {
    let playing = PLAYERS;
    let pongs = 0;
    const players: Ref<Play>[] = Array.from({ length: PLAYERS }, (_, number) => {
      let seed = number;
      let partner = number;
      let left = size;
      const tell = (to: number, kind: Play['kind']) => {
        const player = players[to];
        if (player !== undefined) dispatch(player, { kind, from: number });
      };
      return spawnStateless(
        system,
        ({ kind, from }: Play) => {
          if (kind === 'ping') {
            tell(from, 'pong');
            return;
          }
          // The first pong is the start of the game: it comes from itself.
          if (from !== partner) throw new Error(`a pong of ${from}, not of ${partner}`);
          if (left < size) pongs += 1;
          if (left > 0) {
            left -= 1;
            seed = following(seed);
            partner = seed % PLAYERS;
            tell(partner, 'ping');
            return;
          }
          playing -= 1;
          if (playing === 0) resolve(pongs);
        },
        `player-${number}`,
      );
    });
    for (const [from, player] of players.entries()) dispatch(player, { kind: 'pong', from });
  });

export const boundedBuffer: NactProgram = (system, size) =>
  new Promise((resolve) => {
    const end = size * PRODUCERS;
    const waiting: number[] = [];
    const freeProducers = Array.from({ length: PRODUCERS }, (_, number) => number);
    const freeConsumers = Array.from({ length: CONSUMERS }, (_, number) => number);
    let asked = 0;
    let next = 0;
    let taken = 0;
    let sum = 0;
    const move = () => {
      while (waiting.length > 0 && freeConsumers.length > 0) {
        const consumer = consumers[freeConsumers.shift() ?? 0];
        if (consumer !== undefined) dispatch(consumer, waiting.shift() ?? 0);
      }
      while (next < end && waiting.length + asked < PLACES && freeProducers.length > 0) {
        const producer = producers[freeProducers.shift() ?? 0];
        if (producer !== undefined) dispatch(producer, next);
        next += 1;
        asked += 1;
      }
    };
    const buffer: Ref<Offer | Consumed> = spawnStateless(
      system,
      (message: Offer | Consumed) => {
        if ('producer' in message) {
          asked -= 1;
          waiting.push(message.item);
          freeProducers.push(message.producer);
        } else {
          taken += 1;
          sum += message.item;
          freeConsumers.push(message.consumer);
        }
        if (taken === end) resolve(sum);
        else move();
      },
      'buffer',
    );
    const producers = Array.from({ length: PRODUCERS }, (_, producer) =>
      spawnStateless(
        system,
        (item: number) => dispatch(buffer, { producer, item }),
        `producer-${producer}`,
      ),
    );
    const consumers = Array.from({ length: CONSUMERS }, (_, consumer) =>
      spawnStateless(
        system,
        (item: number) => dispatch(buffer, { consumer, item }),
        `consumer-${consumer}`,
      ),
    );
    move();
  });

interface Hand {
  readonly philosopher: number;
  readonly is: 'hungry' | 'full';
}

export const philosophers: NactProgram = (system, size) =>
  new Promise((resolve) => {
    const isTaken = Array.from({ length: PHILOSOPHERS }, () => false);
    let meals = 0;
    const arbitrator: Ref<Hand> = spawnStateless(
      system,
      ({ philosopher: left, is }: Hand) => {
        const right = (left + 1) % PHILOSOPHERS;
        if (is === 'full') {
          isTaken[left] = false;
          isTaken[right] = false;
          meals += 1;
          if (meals === size * PHILOSOPHERS) resolve(meals);
          return;
        }
        const philosopher = table[left];
        if (philosopher === undefined) return;
        if (isTaken[left] === true || isTaken[right] === true) {
          dispatch(philosopher, 'denied');
          return;
        }
        isTaken[left] = true;
        isTaken[right] = true;
        dispatch(philosopher, 'eat');
      },
      'arbitrator',
    );
    const table = Array.from({ length: PHILOSOPHERS }, (_, philosopher) => {
      let left = size;
      return spawnStateless(
        system,
        (answer: 'eat' | 'denied') => {
          if (answer === 'eat') {
            left -= 1;
            dispatch(arbitrator, { philosopher, is: 'full' });
          }
          if (left > 0) dispatch(arbitrator, { philosopher, is: 'hungry' });
        },
        `philosopher-${philosopher}`,
      );
    });
    for (let philosopher = 0; philosopher < PHILOSOPHERS; philosopher += 1)
      dispatch(arbitrator, { philosopher, is: 'hungry' });
  });
