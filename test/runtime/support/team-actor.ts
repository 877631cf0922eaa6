/** A supervisor for the runtime's tests: any supervision, verdicts by code, children that come and go on demand. */
import { type ActorRef, defineActor } from '../../../runtime/actor.ts';
import type { ChildSpec, Supervision, Verdict } from '../../../runtime/child-spec.ts';
import { codeOf } from '../../../runtime/errors.ts';
import type { SupervisionData } from '../../../runtime/supervision/supervisor.ts';

export interface TeamProtocol {
  spawn(spec: ChildSpec<unknown, unknown>): ActorRef<unknown>;
  /** '' or the code of the refusal. */
  trySpawn(spec: ChildSpec<unknown, unknown>): string;
  stopChild(id: string): void;
  ids(nothing: null): readonly string[];
  ping(nothing: null): number;
}

export interface TeamArgs {
  readonly supervision?: Partial<SupervisionData>;
  /** By the code of the end; `throws` fails to decide. */
  readonly verdicts?: Readonly<Record<string, Verdict | 'throws'>>;
}

export const teamActor = defineActor<TeamProtocol, TeamProtocol, TeamArgs, null, unknown>({
  module: import.meta.url,
  export: 'teamActor',
  name: 'team',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: () => null,
  supervise: ({ supervision, verdicts }): Supervision => ({
    strategy: 'one_for_one',
    intensity: 3,
    periodMs: 10_000,
    backoff: { minMs: 1, maxMs: 5, jitter: 0 },
    ...supervision,
    ...(verdicts === undefined ? {} : { decide: ({ cause }) => toVerdict(verdicts[cause.code]) }),
  }),
  receive: {
    spawn: (_state, spec, self) => self.spawn(spec),
    trySpawn(_state, spec, self) {
      try {
        self.spawn(spec);
        return '';
      } catch (error) {
        return codeOf(error);
      }
    },
    stopChild: (_state, id, self) => self.stopChild(id),
    ids: (_state, _nothing, self) => self.children().map(({ id }) => id),
    ping: (_state, _nothing, self) => self.incarnation,
  },
});

/** Says of its children whatever it is given. */
export const loneActor = defineActor<
  object,
  object,
  { readonly supervision: unknown },
  null,
  unknown
>({
  module: import.meta.url,
  export: 'loneActor',
  name: 'lone',
  mailbox: { limitMessages: 10, overflow: 'reject' },
  start: () => null,
  supervise: ({ supervision }) => supervision as Supervision,
  receive: {},
});

function toVerdict(verdict: Verdict | 'throws' = 'restart'): Verdict {
  if (verdict === 'throws') throw Object.assign(new Error('told to'), { code: 'cannot_decide' });
  return verdict;
}
