/** One session's actor by hand, over a store that is real and neighbours that are scripted. */
import type { CommitReply } from '../../../actors/ledger/protocol.ts';
import type { FinishRequest } from '../../../actors/outbox/protocol.ts';
import { planAdmission } from '../../../actors/router/admission.ts';
import { decide } from '../../../actors/router/decide.ts';
import type { AdmitRequest } from '../../../actors/router/protocol.ts';
import { INBOX, inboxKey, parseInboxKey, parseInboxRow } from '../../../actors/router/rows.ts';
import type { RunResult } from '../../../actors/runs/protocol.ts';
import { DEFAULT_HISTORY_LIMITS } from '../../../actors/sessions/history.ts';
import type { RoutedRun } from '../../../actors/sessions/protocol.ts';
import { sessionActor } from '../../../actors/sessions/session-actor.ts';
import { SessionMemory } from '../../../actors/sessions/session-memory.ts';
import { createEnvelopeId, createUlids, type EnvelopeId, runIdOf } from '../../../proto/ids.ts';
import type { EncodedChangeSet } from '../../../runtime/store/encoding.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ChangeSet, Row, ScanQuery } from '../../../runtime/store/store.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';
import { OPEN_RULES, request } from './story-fakes.ts';

export const KEY = 'channel:echo:default:conversation:one';

export const idOf = ({ envelopeId }: RoutedRun) => runIdOf(envelopeId as EnvelopeId);

export const answerOf = (text: string, leftOut = 0) =>
  ({ type: 'answered', text, promptTokens: 0, completionTokens: 0, leftOut }) as const;

/** A durable session over a memory store; each `open` is another life of its actor, and a first incarnation one of all sessions. */
export async function openSession(
  mayBeCut = false,
  sessionMemory = new SessionMemory(),
  historyLimits = DEFAULT_HISTORY_LIMITS,
) {
  const store = createMemoryStore();
  const nextUlid = createUlids({
    wallMs: () => 1_800_000_000_000,
    randomBytes: (n) => new Uint8Array(n),
  });
  const finishes: FinishRequest[] = [];
  const script: {
    finish: ((plan: FinishRequest) => CommitReply | Promise<CommitReply>) | undefined;
    scanFails: ((query: ScanQuery) => boolean) | undefined;
    /** Of a commit that a session asks for by itself: it is written, and nobody hears so. */
    isAnswerLost: (() => boolean) | undefined;
  } = {
    finish: undefined,
    scanFails: undefined,
    isAnswerLost: undefined,
  };
  const commit = async (changes: ChangeSet | EncodedChangeSet) => {
    const [outcome] = await store.commit([changes], 0);
    if (outcome === undefined) throw new Error('no outcome');
    return outcome;
  };
  const finish = (plan: FinishRequest): Promise<CommitReply> => commit(plan.changes);
  const reads: string[] = [];
  const options = {
    answer: async (_to: string, kind: string, payload: unknown) => {
      if (kind === 'finish') {
        finishes.push(payload as FinishRequest);
        return (script.finish ?? finish)(payload as FinishRequest);
      }
      if (kind === 'commit') {
        const outcome = await commit((payload as { changes: ChangeSet }).changes);
        if (script.isAnswerLost?.() === true) throw new Error('the ledger is starting again');
        return outcome;
      }
      if (kind === 'scan' || kind === 'keys') {
        const query = payload as ScanQuery;
        if (script.scanFails?.(query) === true) throw new Error('the ledger is starting again');
        return kind === 'scan' ? store.scan(query) : store.keys(query);
      }
      const { table, key } = payload as { table: string; key: string };
      reads.push(table);
      const stored = store.read(table, key);
      return stored === undefined ? [] : [stored];
    },
  };
  const args = {
    sessionKey: KEY,
    ledger: { address: 'test/ledger' },
    outbox: { address: 'test/outbox' },
    sessions: { address: 'test/sessions' },
    run: { module: 'test', export: 'run' },
    cutRun: '',
    sinceRevision: 0,
  };
  let newest = '';
  /** A durable run, as the router would tell of it. */
  const route = async (nativeId: string, more: Partial<AdmitRequest> = {}): Promise<RoutedRun> => {
    const admitted = { ...request('one', nativeId), ...more };
    const envelopeId = createEnvelopeId(nextUlid);
    const decision = decide(OPEN_RULES, admitted.offer);
    const plan = planAdmission(admitted, decision, { envelopeId, after: newest });
    newest = envelopeId;
    const outcome = await commit(plan.changes);
    if (!outcome.ok || plan.run === undefined) throw new Error('not routed');
    return plan.run;
  };
  const open = async (incarnation = 1) => {
    if (incarnation === 1) {
      const [first] = store.keys({ table: INBOX, limit: 1 }).keys;
      args.cutRun = mayBeCut && first !== undefined ? parseInboxKey(first).envelopeId : '';
      args.sinceRevision = store.health().revision;
    }
    const kit = await createBehaviorKit(
      sessionActor,
      args,
      { sessionMemory, historyLimits },
      { ...options, incarnation },
    );
    kit.receive('next', null);
    await kit.settle();
    const begun = () =>
      kit.effects.flatMap((effect) =>
        effect.type === 'tell' && effect.kind === 'begin'
          ? [(effect.payload as { runId: string }).runId]
          : [],
      );
    const answered = async (runId: string, result: RunResult) => {
      kit.receive('answered', { runId, result });
      await kit.settle();
    };
    const answer = (runId: string) => answered(runId, answerOf('ok'));
    const fail = (runId: string) =>
      answered(runId, { type: 'failed', reason: 'model_failed', detail: '' });
    return { kit, begun, answered, answer, fail };
  };
  const inbox = (run: RoutedRun) => {
    const stored = store.read(INBOX, inboxKey(KEY, run.envelopeId));
    return stored === undefined ? undefined : parseInboxRow(stored, run.envelopeId);
  };
  /** Another row for this open run, written behind the session's back. */
  const change = async (run: RoutedRun, row: Row) => {
    const put = [{ table: INBOX, key: inboxKey(KEY, run.envelopeId), row }];
    await commit({ expect: [], put, remove: [], facts: [] });
  };
  return { store, commit, route, open, finishes, script, finish, change, inbox, reads };
}
