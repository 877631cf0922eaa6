/** ThreadRing: a hundred actors in a ring and one token, which says how many hops it has left. */
import { type ActorRef, child, type Deferred, defineActor } from '../../runtime/index.ts';
import { type FirstActor, MINUTE, type Program, runFrom, UNFORGIVING } from './program.ts';

export const MEMBERS = 100;

interface RingProtocol extends FirstActor {
  /** The token came to its end at this member. */
  ended(position: number): void;
}

interface MemberProtocol {
  /** Answers with its position when it knows who comes next. */
  join(next: ActorRef<MemberProtocol>): number;
  token(hopsLeft: number): void;
}

interface RingState {
  readonly first: ActorRef<MemberProtocol>;
  over: Deferred<number> | undefined;
}

interface MemberArgs {
  readonly position: number;
  readonly ring: ActorRef<RingProtocol>;
}

interface MemberState extends MemberArgs {
  next: ActorRef<MemberProtocol> | undefined;
}

export const ringActor = defineActor<RingProtocol, RingProtocol, null, RingState, unknown>({
  module: import.meta.url,
  export: 'ringActor',
  name: 'thread-ring',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  async start(self) {
    const spawn = (position: number) => {
      const args = { position, ring: self.ref };
      return self.spawn(child(memberActor, { id: `member-${position}`, args, placement: 'pool' }));
    };
    const first = spawn(0);
    const members = [first, ...Array.from({ length: MEMBERS - 1 }, (_, i) => spawn(i + 1))];
    await Promise.all(
      members.map((member, i) => self.ask(member, 'join', members[i + 1] ?? first, MINUTE)),
    );
    return { first, over: undefined };
  },
  receive: {
    run(state, size, self) {
      state.over = self.defer<number>();
      self.tell(state.first, 'token', size);
      return state.over.promise;
    },
    ended(state, position) {
      state.over?.resolve(position);
    },
  },
});

export const memberActor = defineActor<
  MemberProtocol,
  MemberProtocol,
  MemberArgs,
  MemberState,
  unknown
>({
  module: import.meta.url,
  export: 'memberActor',
  name: 'member',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: (_self, { position, ring }) => ({ position, ring, next: undefined }),
  receive: {
    join(state, next) {
      state.next = next;
      return state.position;
    },
    token({ position, ring, next }, hopsLeft, self) {
      if (hopsLeft > 0 && next !== undefined) self.tell(next, 'token', hopsLeft - 1);
      else self.tell(ring, 'ended', position);
    },
  },
});

/** So many hops from member 0; the answer is the member that holds the token in the end. */
export const threadRing: Program = {
  name: ringActor.name,
  unit: 'messages/s',
  units: (size) => size,
  answer: (size) => size % MEMBERS,
  run: (system, size) => runFrom(system, ringActor, size),
};
