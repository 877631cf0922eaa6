/** Calls the admin API of a running gateway over HTTP. It translates operations and errors, and retries nothing. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import {
  type OperationName,
  type OutputOf,
  operations,
  type RawInputOf,
} from '../proto/control/catalogue.ts';
import { codeOf } from '../runtime/errors.ts';
import { routeOf } from './admin-routes.ts';
import { CliError, EXIT, toCliError } from './exit-codes.ts';

export interface AdminClientOptions {
  /** E.g. `http://127.0.0.1:7142`. */
  readonly url: string;
  readonly token: string;
  /** For one call, its body included. Default 10,000. */
  readonly deadlineMs?: number;
}

export interface Answer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface AdminClient {
  readonly url: string;
  /** The operation's checked output. Throws `CliError` with the gateway's code, or `unreachable` (exit 5). */
  call<N extends OperationName>(operation: N, input: RawInputOf<N>): Promise<OutputOf<N>>;
  /** A POST without the token, as an outside sender makes it; every status is an answer, but for a redirect's. */
  post(path: string, headers: Readonly<Record<string, string>>, body: string): Promise<Answer>;
}

/** An answer is held in memory; 500 journal entries or deliveries stay well below this. */
const ANSWER_LIMIT_BYTES = 16 * 1_048_576;
const DEFAULT_DEADLINE_MS = 10_000;

export function createAdminClient(options: AdminClientOptions): AdminClient {
  const base = options.url.replace(/\/+$/, '');
  const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  return {
    url: base,
    async call(operation, input) {
      const checked = checkInput(operation, input);
      const { method, target, body } = routeOf(operation, checked);
      const headers = {
        authorization: `Bearer ${options.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      const answer = await request(`${base}${target}`, { method, headers, body }, deadlineMs);
      if (answer.status < 200 || answer.status > 299) {
        throw problemOf(answer, WHERE_TO_LOOK[operation]);
      }
      return checkOutput(operation, answer);
    },
    post: (path, headers, body) =>
      request(`${base}${path}`, { method: 'POST', headers, body }, deadlineMs),
  };
}

/** Refused before anything is sent: the same rules as the gateway's own. */
function checkInput(operation: OperationName, input: unknown): Readonly<Record<string, unknown>> {
  const parsed = operations[operation].input.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CliError('validation_error', EXIT.usage, issues.join('; '), {
    next: 'the command with --help says what it takes',
  });
}

function checkOutput<N extends OperationName>(operation: N, answer: Answer): OutputOf<N> {
  const parsed = operations[operation].output.safeParse(jsonOf(answer.body));
  if (parsed.success) return parsed.data as OutputOf<N>;
  const fields = parsed.error.issues.map(({ path }) => path.join('.') || 'the whole').slice(0, 5);
  throw new CliError(
    'unexpected_answer',
    EXIT.failure,
    `the answer to ${operation} is not of the shape this version knows (${fields.join(', ')})`,
    { next: 'use the palyra command of the version that runs there, and check --url' },
  );
}

const DELIVERIES =
  'palyra channels list shows the connectors, and palyra channels status the deliveries of one';

/** Where the ids stand that an operation takes, if it is not the list of its kind. */
const WHERE_TO_LOOK: Readonly<Partial<Record<OperationName, string>>> = {
  'channels.replay': DELIVERIES,
  'channels.discard': DELIVERIES,
  'runs.get': 'palyra channels logs shows the runs that have ended; one is kept for 30 days',
};

/** The RFC 9457 problem in an answer, as the error that a command ends with; `whereToLook` for what was not found. */
export function problemOf(answer: Answer, whereToLook?: string): CliError {
  const problem = jsonOf(answer.body);
  const code = textField(problem, 'code');
  if (code === '') {
    const next = 'check that --url is the address of a Palyra gateway';
    const message = `the server answered ${answer.status} without a problem document`;
    return new CliError('unexpected_answer', EXIT.failure, message, { next });
  }
  const what = textField(problem, 'detail') || textField(problem, 'title') || code;
  // A detail may be its one issue in words.
  const issues = issuesOf(problem).filter((issue) => !what.includes(issue));
  const detail = [what, ...issues].join('; ');
  const known = toCliError(Object.assign(new Error(detail), { code }));
  // A defect of the gateway is a failure here, not a defect of this command.
  const isKnown = known.code === code && code !== 'internal_error';
  const advice = code === 'not_found' ? (whereToLook ?? known.next) : known.next;
  const next = isKnown ? advice : '';
  const retryAfter = answer.headers['retry-after'] ?? '';
  return new CliError(code, isKnown ? known.exitCode : EXIT.failure, detail, {
    next: retryAfter === '' ? next : withWait(next, `try again in ${retryAfter} s`),
  });
}

/** What has to be done comes before the repeat; advice to repeat is the wait itself. */
function withWait(next: string, wait: string): string {
  return next === '' || next.startsWith('try again') ? wait : `${next}, then ${wait}`;
}

function issuesOf(problem: unknown): string[] {
  if (typeof problem !== 'object' || problem === null || !('issues' in problem)) return [];
  if (!Array.isArray(problem.issues)) return [];
  return problem.issues.map(
    (issue) => `${textField(issue, 'field')}: ${textField(issue, 'message')}`,
  );
}

interface Call {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

async function request(url: string, call: Call, deadlineMs: number): Promise<Answer> {
  const signal = AbortSignal.timeout(deadlineMs);
  try {
    const response = await send(new URL(url), call, signal);
    const { statusCode: status = 0, headers } = response;
    if (status >= 300 && status < 400) {
      response.destroy();
      // It would carry the token elsewhere.
      throw unreachable(url, `it redirects (${status}), which is not followed`);
    }
    const named = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    return { status, headers: Object.fromEntries(named), body: await boundedText(response) };
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw unreachable(url, signal.aborted ? `no answer within ${deadlineMs} ms` : reasonOf(error));
  }
}

/** On a connection of its own. `fetch` refuses ports on which a gateway may well listen. */
function send(url: URL, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const { method, headers, body } = call;
  const begin = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const outgoing = begin(url, { method, headers, signal, agent: false });
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function boundedText(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.byteLength;
    if (bytes > ANSWER_LIMIT_BYTES) {
      const message = `the answer is larger than ${ANSWER_LIMIT_BYTES} bytes`;
      throw new CliError('unexpected_answer', EXIT.failure, message, {
        next: 'give a lower --limit',
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function unreachable(url: string, reason: string): CliError {
  const { origin } = new URL(url);
  return new CliError('unreachable', EXIT.unreachable, `${origin} cannot be reached: ${reason}`, {
    next: 'start it with palyra serve, or give --url or --state-root of the one that runs',
  });
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return code === 'uncoded' ? 'the connection failed' : code;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function textField(value: unknown, key: string): string {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return '';
  const field = (value as Record<string, unknown>)[key];
  return typeof field === 'string' ? field : '';
}
