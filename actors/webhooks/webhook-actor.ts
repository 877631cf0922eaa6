/** One integration: checks the signature over the raw body and asks the router to admit the event. It keeps nothing durable. */
import { createUlids } from '../../proto/ids.ts';
import {
  type ActorRef,
  type Deferred,
  defineActor,
  type Self,
  type Settled,
} from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { JobsProtocol } from '../../runtime/jobs/protocol.ts';
import type { RouterProtocol } from '../router/protocol.ts';
import type { VaultProtocol } from '../vault/protocol.ts';
import {
  isSaneWebhookId,
  refuse,
  toError,
  toIngestReply,
  toOffer,
  UNAVAILABLE_RETRY_MS,
} from './decide.ts';
import { type DigestOutput, digestBody, digestJob } from './digest-body.ts';
import type { IngestReply, IngestRequest, WebhookProtocol } from './protocol.ts';
import type { Integration } from './rows.ts';
import { type KeyLookup, lookUpKeys, nextKeys } from './secrets.ts';
import { signMessage, verifyMessage } from './standard-webhooks.ts';

const MAX_IN_FLIGHT = 2_048;
const MAX_IN_FLIGHT_BYTES = 32 * 1_024 * 1_024;
const BUSY_RETRY_MS = 500;
// Larger bodies are hashed and parsed by the job pool: this thread has other actors.
const MAX_INLINE_BYTES = 65_536;
const JOB_DEADLINE_MS = 10_000;
const ROUTER_DEADLINE_MS = 10_000;
const SECRETS_AGAIN_MS = 60_000;
const SECRETS_MISSING_MIN_MS = 1_000;
const SECRETS_MISSING_MAX_MS = 30_000;

export interface WebhookArgs {
  readonly integration: Integration;
  readonly vault: ActorRef<VaultProtocol>;
  readonly router: ActorRef<RouterProtocol>;
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
  admitted(outcome: { readonly ticket: number; readonly settled: Settled<IngestReply> }): void;
  lookForSecrets(nothing: null): void;
  secretsFound(outcome: Settled<readonly KeyLookup[]>): void;
}

interface InFlight {
  readonly answer: Deferred<IngestReply>;
  readonly bytes: number;
}

interface WebhookState {
  readonly args: WebhookArgs;
  readonly deps: WebhookDeps;
  readonly nextId: () => string;
  /** One place a reference. */
  keys: readonly (Uint8Array | undefined)[];
  secretsWaitMs: number;
  secretsReason: string;
  readonly inFlight: Map<number, InFlight>;
  inFlightBytes: number;
  nextTicket: number;
  accepted: number;
  duplicates: number;
  readonly refused: Map<string, number>;
}

type WebhookSelf = Self<WebhookProtocol & WebhookOwn>;

/** Pool thread. Answers `accepted` and `duplicate` only for what is durable. */
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
    ingest(state, request, self) {
      const refusal = check(state, request, self.clock.wallMs());
      if (refusal !== undefined) return counted(state, refusal);
      const answer = self.defer<IngestReply>();
      const ticket = state.nextTicket;
      state.nextTicket += 1;
      state.inFlight.set(ticket, { answer, bytes: request.body.byteLength });
      state.inFlightBytes += request.body.byteLength;
      self.run(
        () => admit(state.args, request, self),
        'admitted',
        (settled) => ({ ticket, settled }),
      );
      return answer.promise;
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
    status: (state) => ({
      secretPresent: presentKeys(state).length > 0,
      accepted: state.accepted,
      duplicates: state.duplicates,
      refused: Object.fromEntries(state.refused),
    }),
    admitted(state, { ticket, settled }) {
      const waiting = state.inFlight.get(ticket);
      if (waiting === undefined) return;
      state.inFlight.delete(ticket);
      state.inFlightBytes -= waiting.bytes;
      const reply = settled.ok ? settled.value : notAnswered(state, settled.error);
      waiting.answer.resolve(counted(state, reply));
    },
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
    kind === 'ingest' ? (payload as IngestRequest).webhookId.slice(0, 64) : '',
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
    inFlight: new Map(),
    inFlightBytes: 0,
    nextTicket: 1,
    accepted: 0,
    duplicates: 0,
    refused: new Map(),
  };
}

/** The first reason to refuse, in the order that senders are promised; undefined where the event is genuine. */
function check(
  state: WebhookState,
  request: IngestRequest,
  nowMs: number,
): IngestReply | undefined {
  const { integration } = state.args;
  if (!integration.enabled) return refuse('webhook_disabled', 'this webhook is disabled');
  const { maxPayloadBytes } = integration;
  if (request.body.byteLength > maxPayloadBytes) {
    return refuse('payload_too_large', `the body is longer than ${maxPayloadBytes} bytes`);
  }
  const verdict = verifyMessage(presentKeys(state), request, request.webhookSignature, nowMs);
  if (verdict === 'signature_missing') {
    return refuse(verdict, 'webhook-id, webhook-timestamp and webhook-signature are needed');
  }
  if (presentKeys(state).length === 0) {
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
  const bytes = state.inFlightBytes + request.body.byteLength;
  if (state.inFlight.size >= MAX_IN_FLIGHT || bytes > MAX_IN_FLIGHT_BYTES) {
    return refuse('busy', 'too many events of this webhook are being taken', BUSY_RETRY_MS);
  }
  return undefined;
}

async function admit(
  { integration, router, jobs }: WebhookArgs,
  request: IngestRequest,
  self: WebhookSelf,
): Promise<IngestReply> {
  const receivedAtMs = self.clock.wallMs();
  const digest = await digestOf(request.body, jobs, self);
  if (digest === undefined) return refuse('busy', 'too many large bodies', BUSY_RETRY_MS);
  if (!digest.ok) return refuse('malformed', digest.reason);
  const { webhookId, trace } = request;
  const { replyTo } = integration;
  const reply = await self.ask(
    router,
    'admit',
    {
      offer: toOffer(integration, { webhookId, text: digest.text, receivedAtMs }),
      bodySha256: digest.sha256,
      trace,
      ...(replyTo === undefined ? {} : { replyTo }),
    },
    { inMs: ROUTER_DEADLINE_MS },
  );
  return toIngestReply(reply);
}

/** Undefined where the job pool takes no more. */
async function digestOf(
  body: Uint8Array,
  jobs: ActorRef<JobsProtocol>,
  self: WebhookSelf,
): Promise<DigestOutput | undefined> {
  if (body.byteLength <= MAX_INLINE_BYTES) return digestBody({ body });
  const reply = await self.ask(jobs, 'run', digestJob(body), { inMs: JOB_DEADLINE_MS });
  if (reply.ok) return reply.output as DigestOutput;
  if (reply.code === 'jobs_full') return undefined;
  throw Object.assign(new Error(`the job pool failed: ${reply.message}`), { code: reply.code });
}

/** Whether it became durable is not known here; its sender asks again with the same id. */
function notAnswered(state: WebhookState, error: unknown): IngestReply {
  const { integrationId } = state.args.integration;
  state.deps.log('warn', 'a webhook was not answered', { integrationId, code: codeOf(error) });
  return refuse('unavailable', 'not accepted; send it again later', UNAVAILABLE_RETRY_MS);
}

function counted(state: WebhookState, reply: IngestReply): IngestReply {
  if (reply.type === 'accepted') state.accepted += 1;
  else if (reply.type === 'duplicate') state.duplicates += 1;
  else state.refused.set(reply.error.code, (state.refused.get(reply.error.code) ?? 0) + 1);
  return reply;
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
