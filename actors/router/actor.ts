/** The router: judges an event from memory, has event and decision committed as one change set, answers after the flush. */
import { channelOf, createEnvelopeId, createUlids, ulidTimeMs } from '../../proto/ids.ts';
import {
  type ActorRef,
  type Deferred,
  defineActor,
  type Replied,
  type Self,
  type Settled,
} from '../../runtime/actor.ts';
import { AskError, codeOf } from '../../runtime/errors.ts';
import { stampRevision } from '../../runtime/store/encoding.ts';
import type { StoredRow } from '../../runtime/store/store.ts';
import type { CommitReply, LedgerProtocol } from '../ledger/protocol.ts';
import type { RoutedRun, SessionsProtocol } from '../sessions/protocol.ts';
import { RUNS } from '../sessions/rows.ts';
import { type Plan, planAdmission, refused, toRefusal, toRepeatReply } from './admission.ts';
import { decide, explain, type RouterRules } from './decide.ts';
import { RouterMeter } from './meter.ts';
import { OpenRuns } from './open-runs.ts';
import type { AdmitReply, AdmitRequest, RouterProtocol } from './protocol.ts';
import {
  DEDUPE,
  dedupeKey,
  INBOX,
  inboxKey,
  inboxPrefix,
  type OpenRun,
  parseInboxKey,
} from './rows.ts';

export interface RouterArgs {
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly sessions: ActorRef<SessionsProtocol>;
  readonly rules: RouterRules;
  /** Of all conversations, in fair shares of their channels. Default 100,000: what memory holds of each is some hundred bytes. */
  readonly maxOpenRuns?: number;
}

export interface RouterDeps {
  randomBytes(size: number): Uint8Array;
}

interface Own {
  committed(done: Replied<Step, CommitReply>): void;
  /** The dedupe row behind a conflict, or of an event that there is no room for. */
  seen(look: Look & { readonly outcome: Settled<readonly StoredRow[]> }): void;
  /** A run whose commit nobody answered: it may or may not be durable. */
  verify(run: OpenRun): void;
  verified(run: OpenRun & { readonly outcome: Settled<readonly StoredRow[]> }): void;
  recounted(session: {
    readonly sessionKey: string;
    /** Envelope ids. */
    readonly had: readonly string[];
    readonly outcome: Settled<readonly OpenRun[]>;
  }): void;
  remindSessions(request: { readonly delayMs: number }): void;
}

interface Step {
  readonly plan: Plan;
  readonly answer: Deferred<AdmitReply>;
}

/** Whether an event came before; `otherwise` is the answer where it did not, or where nobody says. */
interface Look {
  readonly dedupeKey: string;
  readonly bodySha256: string;
  readonly otherwise: AdmitReply;
  readonly answer: Deferred<AdmitReply>;
}

export interface RouterState {
  readonly args: RouterArgs;
  readonly nextUlid: () => string;
  readonly open: OpenRuns;
  readonly meter: RouterMeter;
  inFlight: number;
  /** Reads of dedupe rows under way. */
  looking: number;
  /** Full sessions whose places are being counted anew. */
  readonly recounting: Set<string>;
}

type RouterSelf = Self<RouterProtocol & Own>;

/** Of one conversation, waiting or running. */
export const MAX_OPEN_PER_SESSION = 1_000;
const MAX_OPEN_RUNS = 100_000;
/** The ledger's own queue is the real bound; this one keeps its answers from piling up here. */
const MAX_IN_FLIGHT = 4_096;
/** A flood that is refused must not fill the ledger's line with reads. */
const MAX_LOOKS = 256;
const LEDGER_DEADLINE = { inMs: 10_000 };
const LOAD_DEADLINE_MS = 20_000;
const PAGE_KEYS = 1_000;
const VERIFY_DELAY_MS = 1_000;
/** One reading of 1,000 keys each. */
const MAX_RECOUNTS = 4;
const REMIND_MIN_MS = 100;
const REMIND_MAX_MS = 5_000;
/** A value that no row holds; an id that is no well-formed text. */
const UNSTORABLE: readonly string[] = ['not_encodable', 'bad_option'];

export const routerActor = defineActor<RouterProtocol, Own, RouterArgs, RouterState, RouterDeps>({
  module: import.meta.url,
  export: 'routerActor',
  name: 'router',
  mailbox: { limitMessages: 8_192, overflow: 'reject' },
  async start(self, args, deps) {
    const { open, newestMs } = await loadOpenRuns(self, args);
    const source = {
      wallMs: () => self.clock.wallMs(),
      randomBytes: (size: number) => deps.randomBytes(size),
    };
    // Order within a session is the order of envelope ids: none may sort before one of an earlier incarnation or process.
    const nextUlid = createUlids(source, newestMs);
    // The incarnation before may have died between a flush and its word to the sessions.
    if (self.incarnation > 1) remindSessions(self, args, REMIND_MIN_MS);
    const meter = new RouterMeter();
    return { args, nextUlid, open, meter, inFlight: 0, looking: 0, recounting: new Set() };
  },
  subject: (_kind, payload) => subjectOf(payload),
  receive: {
    admit(state, request, self) {
      const decision = decide(state.args.rules, request.offer);
      if (state.inFlight >= MAX_IN_FLIGHT) return state.meter.count(refused('busy'));
      const { connectorId } = request.offer;
      if (decision.accepted) {
        if (!state.open.hasRoomFor(connectorId)) return refuseNew(state, request, 'busy', self);
        if (state.open.of(decision.sessionKey) >= MAX_OPEN_PER_SESSION) {
          recount(state, decision.sessionKey, self);
          return refuseNew(state, request, 'conversation_busy', self);
        }
      }
      const envelopeId = createEnvelopeId(state.nextUlid);
      const after = state.open.newestOf(decision.sessionKey);
      const plan = planOf(request, decision, { envelopeId, after });
      if (plan === undefined) return state.meter.count(refused('busy'));
      if (plan.run !== undefined) state.open.add(plan.run, connectorId);
      state.inFlight += 1;
      const answer = self.defer<AdmitReply>();
      const commit = { changes: plan.changes, admits: true };
      const step = { plan, answer };
      self.request(state.args.ledger, 'commit', commit, LEDGER_DEADLINE, 'committed', step);
      return answer.promise;
    },
    committed(state, { about: { plan, answer }, outcome }, self) {
      if (!outcome.ok) {
        releaseUnsure(state, plan, outcome.error, self);
        finish(state, answer, refused('busy'));
      } else if (outcome.value.ok) {
        if (plan.run !== undefined) {
          // Its row waited without one.
          stampRevision(plan.run.row, outcome.value.revision);
          tellSessions(state, plan.run, plan.trace, self);
        }
        finish(state, answer, plan.reply);
      } else {
        release(state, plan);
        const { dedupeKey, bodySha256 } = plan;
        const { code } = outcome.value;
        const otherwise = toRefusal(outcome.value);
        const isSeen = code === 'conflict' || (code === 'storage_low' && mayLook(state));
        if (isSeen) look(state, { dedupeKey, bodySha256, otherwise, answer }, self);
        else finish(state, answer, otherwise);
      }
    },
    seen(state, { bodySha256, otherwise, answer, outcome }) {
      state.looking -= 1;
      const repeat = outcome.ok ? toRepeatReply(outcome.value, bodySha256) : undefined;
      finish(state, answer, repeat ?? otherwise);
    },
    verify(state, run, self) {
      const row = { table: INBOX, key: inboxKey(run.sessionKey, run.envelopeId) };
      // A read sees every commit that was asked for before it.
      self.run(
        () => self.ask(state.args.ledger, 'read', row, LEDGER_DEADLINE),
        'verified',
        (outcome) => ({ ...run, outcome }),
      );
    },
    verified(state, { sessionKey, envelopeId, outcome }, self) {
      if (!outcome.ok) verifyLater(self, { sessionKey, envelopeId });
      else if (outcome.value.length === 0) state.open.remove({ sessionKey, envelopeId });
      else {
        remindSessions(self, state.args, REMIND_MIN_MS);
      }
    },
    recounted(state, { sessionKey, had, outcome }) {
      state.recounting.delete(sessionKey);
      if (!outcome.ok) return;
      const durable = new Set(outcome.value.map((run) => run.envelopeId));
      for (const envelopeId of had) {
        if (!durable.has(envelopeId)) state.open.remove({ sessionKey, envelopeId });
      }
    },
    remindSessions: (state, { delayMs }, self) => remindSessions(self, state.args, delayMs),
    explain(state, offer) {
      const { rules } = state.args;
      const { accepted, reason, sessionKey } = decide(rules, offer);
      return { accepted, reason, sessionKey, steps: explain(rules, offer) };
    },
    runEnded: (state, run) => state.open.remove(run),
    metrics: (state) => state.meter.toMetrics(state.open.size, state.inFlight),
  },
});

/** Undefined for an event that no store takes: it is refused for as long as it is offered. */
function planOf(...admission: Parameters<typeof planAdmission>): Plan | undefined {
  try {
    return planAdmission(...admission);
  } catch (error) {
    if (UNSTORABLE.includes(codeOf(error))) return undefined;
    throw error;
  }
}

/** `newestMs` is the instant of the newest envelope whose run is durable, open or ended. */
async function loadOpenRuns(self: RouterSelf, { ledger, maxOpenRuns }: RouterArgs) {
  const open = new OpenRuns(maxOpenRuns ?? MAX_OPEN_RUNS);
  let newestMs = 0;
  for (const run of await readOpenRuns(self, ledger, '')) {
    open.add(run, channelOf(run.sessionKey));
    newestMs = Math.max(newestMs, ulidTimeMs(run.envelopeId));
  }
  // Behind the open ones: a run that ends between the two reads is met by one of them. A run's id has its envelope's time.
  const newest = { table: RUNS, limit: 1, reverse: true };
  const ended = await self.ask(ledger, 'keys', newest, { inMs: LOAD_DEADLINE_MS });
  for (const runId of ended.keys) newestMs = Math.max(newestMs, ulidTimeMs(runId));
  return { open, newestMs };
}

async function readOpenRuns(
  self: RouterSelf,
  ledger: ActorRef<LedgerProtocol>,
  prefix: string,
): Promise<readonly OpenRun[]> {
  const found: OpenRun[] = [];
  let after = '';
  do {
    const from = { table: INBOX, prefix, limit: PAGE_KEYS };
    const query = after === '' ? from : { ...from, after };
    const page = await self.ask(ledger, 'keys', query, { inMs: LOAD_DEADLINE_MS });
    for (const key of page.keys) found.push(parseInboxKey(key));
    after = page.next;
  } while (after !== '');
  return found;
}

/** A full session's places against the durable rows: a word that got lost must not keep a conversation shut. */
function recount(state: RouterState, sessionKey: string, self: RouterSelf): void {
  if (state.recounting.has(sessionKey) || state.recounting.size >= MAX_RECOUNTS) return;
  state.recounting.add(sessionKey);
  // Each of them is durable or stands before this read in the ledger's line.
  const had = state.open.list(sessionKey);
  self.run(
    () => readOpenRuns(self, state.args.ledger, inboxPrefix(sessionKey)),
    'recounted',
    (outcome) => ({ sessionKey, had, outcome }),
  );
}

function tellSessions(state: RouterState, run: RoutedRun, trace: string, self: RouterSelf): void {
  self.trace = trace;
  if (!self.tell(state.args.sessions, 'routed', run)) {
    self.after('remind-sessions', REMIND_MIN_MS, 'remindSessions', { delayMs: REMIND_MIN_MS });
  }
}

/** Has the sessions look for runs that nobody has; repeated, ever later, until they take the word. */
function remindSessions(self: RouterSelf, args: RouterArgs, delayMs: number): void {
  if (self.tell(args.sessions, 'reconcile', null)) return;
  const nextMs = Math.min(delayMs * 2, REMIND_MAX_MS);
  self.after('remind-sessions', delayMs, 'remindSessions', { delayMs: nextMs });
}

/** No room for a new event; one that came before takes none, and its sender must not be told to come again. */
function refuseNew(
  state: RouterState,
  { offer, bodySha256 }: AdmitRequest,
  code: 'busy' | 'conversation_busy',
  self: RouterSelf,
): AdmitReply | PromiseLike<AdmitReply> {
  const otherwise = refused(code);
  if (offer.nativeId === '' || !mayLook(state)) return state.meter.count(otherwise);
  const answer = self.defer<AdmitReply>();
  state.inFlight += 1;
  const key = dedupeKey(offer.connectorId, offer.nativeId);
  look(state, { dedupeKey: key, bodySha256, otherwise, answer }, self);
  return answer.promise;
}

function mayLook(state: RouterState): boolean {
  return state.looking < MAX_LOOKS;
}

function look(state: RouterState, sought: Look, self: RouterSelf): void {
  state.looking += 1;
  const row = { table: DEDUPE, key: sought.dedupeKey };
  self.run(
    () => self.ask(state.args.ledger, 'read', row, LEDGER_DEADLINE),
    'seen',
    (outcome) => ({ ...sought, outcome }),
  );
}

function finish(state: RouterState, answer: Deferred<AdmitReply>, reply: AdmitReply): void {
  state.inFlight -= 1;
  answer.resolve(state.meter.count(reply));
}

function release(state: RouterState, plan: Plan): void {
  if (plan.run !== undefined) state.open.remove(plan.run);
}

/** Keeps the place of a run that may be durable until the ledger says whether it is. */
function releaseUnsure(state: RouterState, plan: Plan, error: unknown, self: RouterSelf): void {
  if (plan.run === undefined) return;
  const isCertain = error instanceof AskError && error.retryable;
  if (isCertain) release(state, plan);
  else verifyLater(self, plan.run);
}

function verifyLater(self: RouterSelf, { sessionKey, envelopeId }: OpenRun): void {
  self.after(`verify:${envelopeId}`, VERIFY_DELAY_MS, 'verify', { sessionKey, envelopeId });
}

function subjectOf(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null || !('about' in payload)) return '';
  return (payload as Replied<Step, CommitReply>).about.plan.reply.envelopeId;
}
