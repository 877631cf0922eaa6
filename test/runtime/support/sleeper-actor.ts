/** An actor that is passive when it is idle, keeps what it heard when it stops, and can be told to wait for something. */
import { type ActorRef, defineActor, type Replied } from '../../../runtime/actor.ts';

export interface Heard {
  readonly notes: readonly number[];
  /** How often it was started, the next process not counted. */
  readonly lives: number;
}

export interface SleeperProtocol {
  note(n: number): void;
  heard(nothing: null): Heard;
  incarnation(nothing: null): number;
  /** From now on something is under way, for good or for a minute. */
  wait(what: 'timer' | 'work' | 'request' | 'watch' | 'child'): void;
  /** What waits for an answer that is never given. */
  never(nothing: null): string;
  remindAfter(ms: number): void;
}

interface Own {
  ended(outcome: unknown): void;
  replied(end: Replied<null, string>): void;
}

export interface SleeperArgs {
  /** Its `stop` does not end. */
  readonly stopHangs?: boolean;
  /** Its second start fails. */
  readonly failsToWake?: boolean;
  readonly server?: ActorRef<SleeperProtocol>;
}

interface State {
  readonly notes: number[];
  lives: number;
  readonly args: SleeperArgs;
}

const MINUTE_MS = 60_000;
const NEVER = new Promise<never>(() => undefined);

export const sleeperActor = defineActor<SleeperProtocol, Own, SleeperArgs, State, unknown>({
  module: import.meta.url,
  export: 'sleeperActor',
  name: 'sleeper',
  mailbox: { limitMessages: 10, overflow: 'reject' },
  reminders: true,
  async start(self, args) {
    const { notes, lives } = (await self.state.load<Heard>()) ?? { notes: [], lives: 0 };
    if (lives === 1 && args.failsToWake === true) {
      await self.state.save({ notes, lives: lives + 1 }, { durability: 'memory' });
      throw new Error('told to');
    }
    return { notes: [...notes], lives: lives + 1, args };
  },
  receive: {
    note: ({ notes }, n) => void notes.push(n),
    heard: ({ notes, lives }) => ({ notes, lives }),
    incarnation: (_state, _nothing, self) => self.incarnation,
    wait({ args }, what, self) {
      const server = args.server ?? self.ref;
      if (what === 'timer') self.after('t', MINUTE_MS, 'note', -1);
      if (what === 'work')
        self.run(
          () => NEVER,
          'ended',
          () => null,
        );
      if (what === 'request')
        self.request(server, 'never', null, { inMs: MINUTE_MS }, 'replied', null);
      if (what === 'watch') self.watch(server);
      if (what === 'child') {
        const { module } = sleeperActor;
        self.spawn({
          id: 'child',
          start: { module, export: 'sleeperActor', args: {} },
          restart: 'temporary',
          shutdownTimeoutMs: 1_000,
          placement: 'with-parent',
        });
      }
    },
    never: (_state, _nothing, self) => self.defer<string>().promise as never,
    remindAfter: (_state, ms, self) => self.remind('r', { afterMs: ms }, 'note', 1),
    ended: () => undefined,
    replied: () => undefined,
  },
  async stop({ notes, lives, args }, self) {
    await self.state.save({ notes, lives }, { durability: 'committed' });
    if (args.stopHangs === true) await NEVER;
  },
});
