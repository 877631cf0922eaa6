/** One integration: checks the signature over the raw body and reads the message in it. It keeps nothing durable. */
import { createUlids } from '../../proto/ids.ts';
import {
  type ActorRef,
  type Deferred,
  defineActor,
  type Self,
  type Settled,
} from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { JobReply, JobsProtocol } from '../../runtime/jobs/protocol.ts';
import type { VaultProtocol } from '../vault/protocol.ts';
import { isSaneWebhookId, refuse, toError, UNAVAILABLE_RETRY_MS } from './decide.ts';
import { type DigestOutput, digestBody, digestJob } from './digest-body.ts';
import type { CheckReply, CheckRequest, WebhookProtocol } from './protocol.ts';
import type { Integration } from './rows.ts';
import { type KeyLookup, lookUpKeys, nextKeys } from './secrets.ts';
import { signMessage, verifyMessage } from './standard-webhooks.ts';

/** Of bodies that wait for a job. */
const MAX_WAITING_BYTES = 32 * 1_024 * 1_024;
const BUSY_RETRY_MS = 500;
// Larger bodies are hashed and parsed by the job pool: this thread has other actors.
const MAX_INLINE_BYTES = 65_536;
const JOB_DEADLINE_MS = 10_000;
const SECRETS_AGAIN_MS = 60_000;
const SECRETS_MISSING_MIN_MS = 1_000;
const SECRETS_MISSING_MAX_MS = 30_000;

export interface WebhookArgs {
  readonly integration: Integration;
  readonly vault: ActorRef<VaultProtocol>;
  readonly jobs: ActorRef<JobsProtocol>;
}

export interface WebhookDeps {
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

interface WebhookOwn {
  digested(done: Digested): void;
  lookForSecrets(nothing: null): void;
  secretsFound(outcome: Settled<readonly KeyLookup[]>): void;
}

interface Digested {
  /** Of its body. */
  readonly bytes: number;
  readonly answer: Deferred<CheckReply>;
  readonly settled: Settled<JobReply>;
}

interface WebhookState {
  readonly args: WebhookArgs;
  readonly deps: WebhookDeps;
  readonly nextId: () => string;
  /** One place a reference. */
  keys: readonly (Uint8Array | undefined)[];
  secretsWaitMs: number;
  secretsReason: string;
  waitingBytes: number;
}

type WebhookSelf = Self<WebhookProtocol & WebhookOwn>;

/** Pool thread. */
export const webhookActor = defineActor<
  WebhookProtocol,
  WebhookOwn,
  WebhookArgs,
  WebhookState,
  WebhookDeps
>({
  module: import.meta.url,
  export: 'webhookActor',
  name: 'webhook',
  mailbox: { limitMessages: 2_048, overflow: 'reject' },
  async start(self, args, deps) {
    const state = freshState(self, args, deps);
    takeKeys(state, self, await lookUpKeys(self, args.vault, args.integration.secretRefs));
    return state;
  },
  receive: {
    check(state, request, self) {
      const refusal = reasonToRefuse(state, request, self.clock.wallMs());
      if (refusal !== undefined) return refusal;
      if (request.body.byteLength > MAX_INLINE_BYTES) {
        return digestLater(state, request, self);
      }
      return toReply(digestBody({ body: request.body }));
    },
    digested(state, { bytes, answer, settled }) {
      state.waitingBytes -= bytes;
      const reply =
        settled.ok && settled.value.ok
          ? toReply(settled.value.output as DigestOutput)
          : noDigest(state, settled);
      answer.resolve(reply);
    },
    sign(state, { body }, self) {
      const key = state.keys.find((candidate) => candidate !== undefined);
      if (key === undefined) {
        return { ok: false, error: toError('secret_unavailable', state.secretsReason) };
      }
      const webhookId = `msg_${state.nextId()}`;
      const webhookTimestamp = String(Math.floor(self.clock.wallMs() / 1_000));
      const message = { webhookId, webhookTimestamp, body: Buffer.from(body) };
      return { ok: true, webhookId, webhookTimestamp, webhookSignature: signMessage(key, message) };
    },
    status: (state) => ({ secretPresent: presentKeys(state).length > 0 }),
    lookForSecrets(state, _nothing, self) {
      const { vault, integration } = state.args;
      self.run(
        () => lookUpKeys(self, vault, integration.secretRefs),
        'secretsFound',
        (outcome) => outcome,
      );
    },
    secretsFound(state, outcome, self) {
      takeKeys(state, self, outcome.ok ? outcome.value : []);
    },
  },
  subject: (kind, payload) =>
    kind === 'check' ? (payload as CheckRequest).webhookId.slice(0, 64) : '',
});

function freshState(self: WebhookSelf, args: WebhookArgs, deps: WebhookDeps): WebhookState {
  // Not secret: it only makes the ids of signed test messages differ.
  const randomBytes = (size: number) =>
    Uint8Array.from({ length: size }, () => Math.floor(self.random() * 256));
  return {
    args,
    deps,
    nextId: createUlids({ wallMs: () => self.clock.wallMs(), randomBytes }),
    keys: [],
    secretsWaitMs: SECRETS_MISSING_MIN_MS,
    secretsReason: '',
    waitingBytes: 0,
  };
}

/** The first reason to refuse, in the order that senders are promised; undefined where the event is genuine. */
function reasonToRefuse(
  state: WebhookState,
  request: CheckRequest,
  nowMs: number,
): CheckReply | undefined {
  const { integration } = state.args;
  if (!integration.enabled) return refuse('webhook_disabled', 'this webhook is disabled');
  const { maxPayloadBytes } = integration;
  if (request.body.byteLength > maxPayloadBytes) {
    return refuse('payload_too_large', `the body is longer than ${maxPayloadBytes} bytes`);
  }
  const keys = presentKeys(state);
  const verdict = verifyMessage(keys, request, request.webhookSignature, nowMs);
  if (verdict === 'signature_missing') {
    return refuse(verdict, 'webhook-id, webhook-timestamp and webhook-signature are needed');
  }
  if (keys.length === 0) {
    const message = 'the secret of this webhook is not available';
    return refuse('unavailable', message, state.secretsWaitMs);
  }
  if (verdict === 'timestamp_stale') {
    return refuse(verdict, 'webhook-timestamp is more than five minutes away');
  }
  if (verdict === 'signature_invalid') return refuse(verdict, 'no signature matches');
  if (!isSaneWebhookId(request.webhookId)) {
    return refuse('malformed', 'webhook-id must be at most 256 visible ASCII characters');
  }
  return undefined;
}

/** This thread has other actors: a large body is hashed and parsed elsewhere. */
function digestLater(
  state: WebhookState,
  { body }: CheckRequest,
  self: WebhookSelf,
): CheckReply | PromiseLike<CheckReply> {
  const bytes = body.byteLength;
  if (state.waitingBytes + bytes > MAX_WAITING_BYTES) {
    return refuse('busy', 'too many large bodies', BUSY_RETRY_MS);
  }
  state.waitingBytes += bytes;
  const answer = self.defer<CheckReply>();
  self.run(
    () => self.ask(state.args.jobs, 'run', digestJob(body), { inMs: JOB_DEADLINE_MS }),
    'digested',
    (settled) => ({ bytes, answer, settled }),
  );
  return answer.promise;
}

function toReply(digest: DigestOutput): CheckReply {
  if (!digest.ok) return refuse('malformed', digest.reason);
  return { type: 'genuine', text: digest.text, bodySha256: digest.sha256 };
}

/** The job pool is full or broken. */
function noDigest(state: WebhookState, settled: Settled<JobReply>): CheckReply {
  const code = settled.ok ? (settled.value.ok ? '' : settled.value.code) : codeOf(settled.error);
  if (code === 'jobs_full') return refuse('busy', 'too many large bodies', BUSY_RETRY_MS);
  const { integrationId } = state.args.integration;
  state.deps.log('warn', 'a large webhook body was not read', { integrationId, code });
  return refuse('unavailable', 'not accepted; send it again later', UNAVAILABLE_RETRY_MS);
}

function takeKeys(state: WebhookState, self: WebhookSelf, lookups: readonly KeyLookup[]): void {
  const hadKeys = presentKeys(state).length > 0;
  if (lookups.length > 0) state.keys = nextKeys(lookups, state.keys);
  const hasKeys = presentKeys(state).length > 0;
  const reasons = lookups.flatMap((lookup) => (lookup.state === 'found' ? [] : [lookup.reason]));
  state.secretsReason = reasons.join('; ') || 'no secret reference is given';
  const { integrationId } = state.args.integration;
  if (hadKeys !== hasKeys || (!hasKeys && state.secretsWaitMs === SECRETS_MISSING_MIN_MS)) {
    const fields = hasKeys ? { integrationId } : { integrationId, reason: state.secretsReason };
    const message = `the webhook secret is ${hasKeys ? '' : 'not '}available`;
    state.deps.log(hasKeys ? 'info' : 'warn', message, fields);
  }
  const isSure = hasKeys && lookups.every((lookup) => lookup.state === 'found');
  const waitMs = isSure ? SECRETS_AGAIN_MS : state.secretsWaitMs;
  state.secretsWaitMs = isSure
    ? SECRETS_MISSING_MIN_MS
    : Math.min(SECRETS_MISSING_MAX_MS, state.secretsWaitMs * 2);
  self.after('secrets', waitMs, 'lookForSecrets', null);
}

function presentKeys(state: WebhookState): readonly Uint8Array[] {
  return state.keys.filter((key) => key !== undefined);
}
