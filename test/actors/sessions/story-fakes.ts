/** The neighbours of router and sessions in a seeded world: a ledger and an outbox that may be busy or silent, senders, a model. */

import { createHash } from 'node:crypto';
import type { CommitReply, LedgerProtocol } from '../../../actors/ledger/protocol.ts';
import type { FinishRequest } from '../../../actors/outbox/protocol.ts';
import { routerActor } from '../../../actors/router/actor.ts';
import type { RouterRules } from '../../../actors/router/decide.ts';
import type { AdmitReply, AdmitRequest, RouterProtocol } from '../../../actors/router/protocol.ts';
import { runActor } from '../../../actors/runs/actor.ts';
import { sessionsActor } from '../../../actors/sessions/actor.ts';
import type { HistoryLimits } from '../../../actors/sessions/history.ts';
import { sessionActor } from '../../../actors/sessions/session-actor.ts';
import type { SessionMemory } from '../../../actors/sessions/session-memory.ts';
import type { Model } from '../../../connectors/models/model.ts';
import type { InboundOffer } from '../../../proto/channel-messages.ts';
import {
  type ActorRef,
  child,
  defineActor,
  type Self,
  type Settled,
} from '../../../runtime/actor.ts';
import { joinChanges } from '../../../runtime/store/change-set.ts';
import { encodeChangeSet, joinEncoded } from '../../../runtime/store/encoding.ts';
import type { KeyPage, ScanPage, Store, StoredRow } from '../../../runtime/store/store.ts';
import { storedFacts } from '../../support/read-facts.ts';
import { SeededWorld } from './seeded-world.ts';

export interface StoryDeps {
  readonly store: Store;
  random(): number;
  /** Shares of commits that are refused, and that are done and never answered; what one request takes at most. */
  readonly faults: { busy: number; silent: number; slowMs: number };
  openModel(): Promise<Model>;
  randomBytes(size: number): Uint8Array;
  readonly sessionMemory: SessionMemory;
  readonly historyLimits: HistoryLimits;
}

type Work = () => Promise<void> | void;

interface LedgerState {
  readonly deps: StoryDeps;
  /** Everything that was asked for, in order. */
  readonly line: Work[];
  isServing: boolean;
}

type LedgerAsks = Pick<LedgerProtocol, 'commit' | 'read' | 'scan' | 'keys' | 'health'>;
interface LedgerOwn {
  turn(nothing: null): void;
  turned(nothing: null): void;
}

const ledgerActor = defineActor<LedgerAsks, LedgerOwn, null, LedgerState, StoryDeps>({
  module: 'test',
  export: 'ledgerActor',
  name: 'ledger',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: (_self, _args, deps) => ({ deps, line: [], isServing: false }),
  receive: {
    commit(state, { changes }, self) {
      const { deps } = state;
      if (deps.random() < deps.faults.busy) return { ok: false, code: 'busy', retryAfterMs: 50 };
      const later = self.defer<CommitReply>();
      const isSilent = deps.random() < deps.faults.silent;
      standInLine(state, self, async () => {
        const [outcome] = await deps.store.commit([changes], 0);
        if (outcome !== undefined && !isSilent) later.resolve(outcome);
      });
      return later.promise;
    },
    read(state, { table, key }, self) {
      const later = self.defer<readonly StoredRow[]>();
      standInLine(state, self, () => {
        const stored = state.deps.store.read(table, key);
        later.resolve(stored === undefined ? [] : [stored]);
      });
      return later.promise;
    },
    scan(state, query, self) {
      const later = self.defer<ScanPage>();
      const page = { ...query, limit: Math.min(query.limit, 3) };
      standInLine(state, self, () => later.resolve(state.deps.store.scan(page)));
      return later.promise;
    },
    keys(state, query, self) {
      const later = self.defer<KeyPage>();
      const page = { ...query, limit: Math.min(query.limit, 3) };
      standInLine(state, self, () => later.resolve(state.deps.store.keys(page)));
      return later.promise;
    },
    health: (state) => ({
      ...state.deps.store.health(),
      admitting: true,
      pending: state.line.length,
      commitAgeMs: 0,
    }),
    turn(state, _nothing, self) {
      const work = state.line.shift();
      self.run(
        async () => work?.(),
        'turned',
        () => null,
      );
    },
    turned(state, _nothing, self) {
      state.isServing = false;
      if (state.line.length > 0) serve(state, self);
    },
  },
});

function standInLine(state: LedgerState, self: Self<LedgerOwn>, work: Work): void {
  state.line.push(work);
  if (!state.isServing) serve(state, self);
}

function serve(state: LedgerState, self: Self<LedgerOwn>): void {
  const { random, faults } = state.deps;
  state.isServing = true;
  self.after('turn', random() * faults.slowMs, 'turn', null);
}

type OutboxState = { readonly ledger: ActorRef<LedgerProtocol> };

const outboxActor = defineActor<
  { finish(request: FinishRequest): CommitReply },
  {
    committed(end: {
      readonly outcome: Settled<CommitReply>;
      readonly answer: (reply: CommitReply) => void;
    }): void;
  },
  OutboxState,
  OutboxState,
  StoryDeps
>({
  module: 'test',
  export: 'outboxActor',
  name: 'outbox',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: (_self, args) => args,
  receive: {
    finish(state, request, self) {
      const later = self.defer<CommitReply>();
      const { runId, outputs } = request;
      const deliveries = joinChanges({
        put: outputs.map(({ target, message }, n) => ({
          table: 'deliveries',
          key: `${runId}:${n}`,
          row: { v: 1, ...target, ...message },
        })),
      });
      const changes = joinEncoded(encodeChangeSet(request.changes), encodeChangeSet(deliveries));
      self.run(
        () => self.ask(state.ledger, 'commit', { changes, admits: false }, { inMs: 5_000 }),
        'committed',
        (outcome) => ({ outcome, answer: later.resolve }),
      );
      return later.promise;
    },
    committed(_state, { outcome, answer }) {
      if (outcome.ok) answer(outcome.value);
    },
  },
});

interface SenderArgs {
  readonly router: ActorRef<RouterProtocol>;
  readonly request: AdmitRequest;
  readonly answers: AdmitReply[];
}

/** Offers its message until it is told something that lasts, like a platform that redelivers. */
const senderActor = defineActor<
  Record<never, never>,
  { offer(nothing: null): void; answered(outcome: Settled<AdmitReply>): void },
  SenderArgs,
  SenderArgs,
  StoryDeps
>({
  module: 'test',
  export: 'senderActor',
  name: 'sender',
  mailbox: { limitMessages: 10, overflow: 'reject' },
  start(self, args) {
    self.after('offer', 0, 'offer', null);
    return args;
  },
  receive: {
    offer(args, _nothing, self) {
      self.run(
        () => self.ask(args.router, 'admit', args.request, { inMs: 15_000 }),
        'answered',
        (outcome) => outcome,
      );
    },
    answered(args, outcome, self) {
      if (outcome.ok && outcome.value.type !== 'refused') args.answers.push(outcome.value);
      else self.after('offer', 500, 'offer', null);
    },
  },
});

export const OPEN_RULES: RouterRules = {
  enabled: true,
  maxMessageBytes: 32_768,
  defaults: {
    enabled: true,
    allowDirectMessages: true,
    directMessagePolicy: 'allow',
    isolateSessionBySender: false,
    responsePrefix: '',
    broadcastStrategy: 'deny',
  },
  channels: [],
};

const LEDGER = { address: 'test/ledger' };
const ROUTER = { address: 'test/router' };
const SESSIONS = { address: 'test/sessions' };
const OUTBOX = { address: 'test/outbox' };

/** Ledger, outbox, sessions and router over `deps.store`, as after a start of the process. */
export function startStory(
  deps: StoryDeps,
  wallMs: number,
  limits: { readonly maxLive?: number; readonly maxOpenRuns?: number } = {},
): SeededWorld {
  const world = new SeededWorld({
    random: deps.random,
    deps,
    definitions: {
      ledgerActor,
      outboxActor,
      senderActor,
      routerActor,
      sessionsActor,
      sessionActor,
      runActor,
    },
    wallMs,
  });
  const run = { module: runActor.module, export: runActor.export };
  world.spawn(child(ledgerActor, { id: 'ledger', args: null }) as never);
  world.spawn(child(outboxActor, { id: 'outbox', args: { ledger: LEDGER } }) as never);
  const sessions = { ledger: LEDGER, outbox: OUTBOX, router: ROUTER, run, ...limits };
  world.spawn(child(sessionsActor, { id: 'sessions', args: sessions }) as never);
  const router = { ledger: LEDGER, sessions: SESSIONS, rules: OPEN_RULES, ...limits };
  world.spawn(child(routerActor, { id: 'router', args: router }) as never);
  return world;
}

export function offer(conversationId: string, nativeId: string, body: string): InboundOffer {
  return {
    connectorId: 'echo:default',
    conversationId,
    threadId: '',
    senderId: 'alice',
    senderDisplay: 'Alice',
    senderVerified: true,
    body,
    adapterMessageId: nativeId,
    receivedAtMs: 0,
    isDirectMessage: true,
    requestedBroadcast: false,
    attachments: [],
    nativeId,
  };
}

export function request(conversationId: string, nativeId: string, body = nativeId): AdmitRequest {
  return {
    offer: offer(conversationId, nativeId, body),
    bodySha256: createHash('sha256').update(body).digest('hex'),
    replyTo: { connectorId: 'echo:default', conversationId, threadId: '' },
    trace: `trace-${nativeId}`,
  };
}

/** The same message on another channel, answered to the run's tape. */
export function on(connectorId: string, admit: AdmitRequest): AdmitRequest {
  return { ...admit, offer: { ...admit.offer, connectorId }, replyTo: null };
}

/** A platform that offers one message until it is settled; what it was told stands in `answers`. */
export function send(world: SeededWorld, id: string, admit: AdmitRequest): AdmitReply[] {
  const answers: AdmitReply[] = [];
  const args: SenderArgs = { router: ROUTER, request: admit, answers };
  world.spawn(child(senderActor, { id, args, restart: 'temporary' }) as never);
  return answers;
}

/** Facts of the journal in the order of their commits. */
export function factsOf(store: Store, type: string) {
  return storedFacts(store).filter((fact) => fact.type === type);
}
