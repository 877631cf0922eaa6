/** Asks an actor of another thread for its tests: what the answer was, or why there is none. */
import { type ActorRef, AskError, defineActor } from '../../../runtime/index.ts';
import type { CounterProtocol } from './actors.ts';

export interface Answer {
  /** '' where there was one. */
  readonly code: string;
  readonly retryable: boolean;
}

export interface AskerProtocol {
  ask(of: ActorRef<CounterProtocol>): Answer;
  /** Whether it has room. */
  ready(of: ActorRef<CounterProtocol>): Answer;
  /** Asks until that incarnation, or a later one, answers: the codes of all that did not. */
  askUntil(request: {
    readonly of: ActorRef<CounterProtocol>;
    readonly incarnation: number;
  }): readonly string[];
}

const ANSWERED: Answer = { code: '', retryable: false };
const IN_20S = { inMs: 20_000 };

export const askerActor = defineActor<AskerProtocol, AskerProtocol, null, null, unknown>({
  module: import.meta.url,
  export: 'askerActor',
  name: 'asker',
  mailbox: { limitMessages: 100, overflow: 'reject' },
  start: () => null,
  receive: {
    ask: (_state, of, self) => self.ask(of, 'where', null, IN_20S).then(() => ANSWERED, toAnswer),
    ready: (_state, of, self) => self.ready(of, IN_20S).then(() => ANSWERED, toAnswer),
    async askUntil(_state, { of, incarnation }, self) {
      const codes: string[] = [];
      for (;;) {
        const answer = await self.ask(of, 'where', null, IN_20S).catch(toAnswer);
        if (!('code' in answer)) {
          if (answer.incarnation >= incarnation) return codes;
        } else if (codes.at(-1) !== answer.code) codes.push(answer.code);
        // Others of this thread have their turn too.
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  },
});

function toAnswer(error: unknown): Answer {
  if (!(error instanceof AskError)) throw error;
  return { code: error.code, retryable: error.retryable };
}
