/** What both servers do with a request in the same way: count it, ask the handler, answer its defects. It owns no socket. */
import type { WireError } from '../../proto/errors.ts';
import { FairShares } from '../../runtime/fair-shares.ts';
import type {
  HttpAnswer,
  HttpClient,
  HttpHandler,
  HttpIntake,
  HttpRequest,
  HttpServerOptions,
} from './http-server.ts';
import { problemAnswer } from './problem.ts';

/** One request line with all headers, as much as any caller of ours needs. */
export const MAX_HEAD_BYTES = 8_192;

/** The requests in progress of one server. */
export interface Exchanges {
  /** For one that has to wait. False: refuse it with `overloaded`. True: `leave` must follow, once. */
  enter(intake: HttpIntake): boolean;
  leave(intake: HttpIntake): void;
  /** Settles when no request is in progress, or after `graceMs`. */
  whenIdle(graceMs: number): Promise<void>;
  begin(request: HttpRequest): HttpIntake | HttpAnswer;
  tooLarge(intake: HttpIntake): HttpAnswer;
  /** `done` hears the answer, once. */
  answer(
    intake: HttpIntake,
    body: Uint8Array,
    client: HttpClient,
    done: (answer: HttpAnswer) => void,
  ): void;
  overloaded(intake: HttpIntake): HttpAnswer;
}

export function createExchanges(options: HttpServerOptions, handler: HttpHandler): Exchanges {
  const shared = new FairShares(options.maxRequests);
  const reserved = new FairShares(options.maxReserved);
  const sharesOf = (intake: HttpIntake) => (intake.isReserved ? reserved : shared);
  const isIdle = () => shared.taken + reserved.taken === 0;
  let idle: (() => void) | undefined;
  const defect = (error: unknown): HttpAnswer => {
    options.observer?.defect(error);
    return problemAnswer(DEFECT);
  };
  const guarded = <T>(work: () => T): T | HttpAnswer => {
    try {
      return work();
    } catch (error) {
      return defect(error);
    }
  };
  return {
    enter(intake) {
      const shares = sharesOf(intake);
      if (!shares.mayTake(intake.source)) return false;
      shares.take(intake.source);
      return true;
    },
    leave(intake) {
      sharesOf(intake).giveBack(intake.source);
      if (isIdle()) idle?.();
    },
    whenIdle(graceMs) {
      if (isIdle()) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
    begin: (request) => guarded(() => handler.begin(request)),
    tooLarge: (intake) => guarded(() => intake.tooLarge()),
    answer(intake, body, client, done) {
      const end = (answer: unknown) => done(isHttpAnswer(answer) ? answer : defect(answer));
      try {
        intake.answer(body, client, end)?.catch(end);
      } catch (error) {
        end(error);
      }
    },
    overloaded(intake) {
      options.observer?.refused('overloaded');
      return guarded(() => intake.overloaded());
    },
  };
}

const DEFECT: WireError = {
  code: 'internal_error',
  message: 'The gateway met a defect; its log has the details.',
};

function isHttpAnswer(answer: unknown): answer is HttpAnswer {
  return typeof answer === 'object' && answer !== null && !(answer instanceof Error);
}

export function isAnswer(begun: HttpIntake | HttpAnswer): begun is HttpAnswer {
  return 'status' in begun;
}

const UNREADABLE = {
  400: 'The request is not well-formed HTTP/1.1.',
  431: `The request line and headers are longer than ${MAX_HEAD_BYTES} bytes.`,
  505: 'Send HTTP/1.1, and a target that is a path.',
} as const;

/** A head that HTTP allows and we do not. */
export function unreadable(status: keyof typeof UNREADABLE): HttpAnswer {
  return problemAnswer({ code: 'malformed', message: UNREADABLE[status] }, { status });
}

/** Where a proxy reads another coding otherwise than we do, the body of one request is the next one. */
export function hasKnownCoding(headers: Readonly<Record<string, string>>): boolean {
  const coding = headers['transfer-encoding'];
  return coding === undefined || coding.toLowerCase() === 'chunked';
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those must not reach the wire
const UNSAFE = /[\u0000-\u001f\u007f]|[^\u0000-\u00ff]/;
const ALL_UNSAFE = new RegExp(UNSAFE, 'g');

/** A header's value as it may stand on the wire: a line break would begin a header of its own. */
export function safeValue(value: string): string {
  return UNSAFE.test(value) ? value.replace(ALL_UNSAFE, ' ') : value;
}

/** Adds one header to a record of them; a repeated one's values are joined. */
export function addHeader(headers: Record<string, string>, name: string, value: string): void {
  const before = headers[name];
  headers[name] = before === undefined ? value : `${before}, ${value}`;
}
