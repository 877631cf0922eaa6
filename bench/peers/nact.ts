/** nact as the peer of the benches within one thread: the same games, written as its documentation has them. */
import {
  type ActorSystemRef,
  dispatch,
  query,
  type Ref,
  spawn,
  spawnStateless,
  start,
  stop,
} from 'nact';

export interface NactPeer {
  /** Two players, one ball. */
  pingPong(exchanges: number): Promise<number>;
  /** A thousand senders, twenty sinks. */
  fanIn(each: number): Promise<number>;
  /** `count` queries of an actor that answers with a number, so many at once. */
  ask(count: number, inFlight: number): Promise<number>;
  spawnAndStop(count: number): number;
  /** Ten children each, until there are `size` leaves; the sum of their numbers. */
  skynet(size: number): Promise<number>;
  close(): void;
}

interface Ball {
  readonly from: Ref<Ball>;
  readonly left: number;
}

export function createNactPeer(): NactPeer {
  const system = start();
  const pingPong = createMatch(system);
  const fanIn = createCrowd(system);
  const echo = spawnStateless(
    system,
    ({ from, n }: { readonly from: Ref<number>; readonly n: number }) => dispatch(from, n),
    'echo',
  );
  let named = 0;
  return {
    pingPong,
    fanIn,
    async ask(count, inFlight) {
      for (let done = 0; done < count; done += inFlight) {
        const batch = Array.from({ length: inFlight }, (_, i) =>
          query(echo, (from: Ref<number>) => ({ from, n: i }), 60_000),
        );
        await Promise.all(batch);
      }
      return count;
    },
    spawnAndStop(count) {
      for (let i = 0; i < count; i += 1) {
        named += 1;
        stop(spawnStateless(system, () => undefined, `a${named}`));
      }
      return count;
    },
    skynet: (size) =>
      new Promise((resolve) => {
        named += 1;
        const collector: Ref<number> = spawnStateless(
          system,
          (sum: number) => {
            stop(collector);
            resolve(sum);
          },
          `skynet-${named}`,
        );
        grow(system, collector, `root-${named}`, 0, size);
      }),
    close: () => stop(system),
  };
}

function createMatch(system: ActorSystemRef): (exchanges: number) => Promise<number> {
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
  return (exchanges) =>
    new Promise((resolve) => {
      finished = () => resolve(exchanges * 2);
      dispatch(a, { from: b, left: exchanges * 2 - 1 });
    });
}

function createCrowd(system: ActorSystemRef): (each: number) => Promise<number> {
  let left = 0;
  let finished: () => void = () => undefined;
  const sinks = Array.from({ length: 20 }, (_, i) =>
    spawnStateless(
      system,
      (_parcel: object) => {
        left -= 1;
        if (left === 0) finished();
      },
      `sink-${i}`,
    ),
  );
  const parcel = { id: 1, node: 'n', name: 'cpu', value: 0.5, at: 1, text: '' };
  const senders = Array.from({ length: 1_000 }, (_, i) =>
    spawnStateless(
      system,
      (each: number) => {
        const sink = sinks[i % 20];
        if (sink === undefined) return;
        for (let n = 0; n < each; n += 1) dispatch(sink, parcel);
      },
      `sender-${i}`,
    ),
  );
  return (each) =>
    new Promise((resolve) => {
      left = each * senders.length;
      finished = () => resolve(each * senders.length);
      for (const sender of senders) dispatch(sender, each);
    });
}

function grow(
  parent: ActorSystemRef | Ref<number>,
  collector: Ref<number>,
  name: string,
  number: number,
  size: number,
): void {
  if (size === 1) {
    const leaf: Ref<null> = spawnStateless(
      parent as ActorSystemRef,
      () => {
        dispatch(collector, number);
        stop(leaf);
      },
      name,
    );
    dispatch(leaf, null);
    return;
  }
  const node: Ref<number> = spawn(
    parent as ActorSystemRef,
    (state: { readonly left: number; readonly sum: number }, sum: number) => {
      const next = { left: state.left - 1, sum: state.sum + sum };
      if (next.left === 0) {
        dispatch(collector, next.sum);
        stop(node);
      }
      return next;
    },
    name,
    { initialState: { left: 10, sum: 0 } },
  );
  for (let i = 0; i < 10; i += 1) grow(node, node, `${i}`, number + (i * size) / 10, size / 10);
}
