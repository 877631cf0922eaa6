/** The operations and metrics that the sessions answer for: a run with its tape, runs by how they ended. */
import type { OutputOf } from '../../proto/control/catalogue.ts';
import type { Metric, OperationReply, OwnedCall } from '../../proto/control/owner.ts';
import { PalyraError, toWireError } from '../../proto/errors.ts';
import { type EnvelopeId, runIdOf, ulidTimeMs } from '../../proto/ids.ts';
import type { ActorRef } from '../../runtime/actor.ts';
import { AskError } from '../../runtime/errors.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import type { OpenRun } from '../router/rows.ts';
import type { RunEnded } from './protocol.ts';
import { type Asker, LEDGER_DEADLINE, readEndedRun, readOpenRun, readOpenRuns } from './reading.ts';
import { parseTapeRow, RUN_ENDS, TAPES, type TapeEntry } from './rows.ts';
import type { GivenBack } from './session-memory.ts';
import { readInbox } from './task.ts';

const MAX_TAPE_ROWS = 1_000;
const ULID_TIME_CHARACTERS = 10;

/** `known` are the open runs that the dispatcher holds: found there, the store need not be searched. */
export async function operate(
  call: OwnedCall,
  known: Iterable<OpenRun>,
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
): Promise<OperationReply> {
  try {
    if (call.operation !== 'runs.get') {
      throw new PalyraError('not_found', `the sessions do not answer ${call.operation}`);
    }
    const { run_id: runId } = call.input as { readonly run_id: string };
    const run = findRun(known, runId);
    return { ok: true, output: await readRun(runId, run, self, ledger) };
  } catch (error) {
    const isAsk = error instanceof AskError;
    const shown = isAsk ? new PalyraError('unavailable', 'the ledger did not answer') : error;
    return { ok: false, error: toWireError(shown) };
  }
}

async function readRun(
  runId: string,
  known: OpenRun | undefined,
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
): Promise<OutputOf<'runs.get'>> {
  // An open run that is not found below has ended meanwhile: then its row is there.
  const ended = await readEndedRun(self, ledger, runId);
  if (ended === undefined) {
    // The dispatcher may not have been told of it yet.
    const run = known ?? findRun(await readOpenRuns(self, ledger), runId);
    const open = run === undefined ? undefined : await readPending(runId, run, self, ledger);
    if (open !== undefined) return open;
  }
  const row = (ended ?? (await readEndedRun(self, ledger, runId)))?.row;
  if (row === undefined) throw new PalyraError('not_found', `no run ${runId}`);
  const tapeQuery = { table: TAPES, prefix: `${runId}:`, limit: MAX_TAPE_ROWS };
  const page = await self.ask(ledger, 'scan', tapeQuery, LEDGER_DEADLINE);
  return {
    run_id: runId,
    envelope_id: row.envelopeId,
    session_key: row.sessionKey,
    status: row.status,
    attempts: row.attempts,
    created_at_ms: row.createdAtMs,
    reason: row.reason,
    tape: [
      ...numbered(row.tape, 0, row.endedAtMs),
      ...page.rows.flatMap(({ key, row: added }) => {
        const { entries, atMs } = parseTapeRow(added);
        return numbered(entries, Number(key.slice(runId.length + 1)), atMs);
      }),
    ],
  };
}

function numbered(entries: readonly TapeEntry[], first: number, atMs: number) {
  return entries.map(({ type, text }, i) => ({ seq: first + i, type, text, at_ms: atMs }));
}

/** An open run has no row of its own: its envelope's id has the same time, and tells the run's. */
function findRun(open: Iterable<OpenRun>, runId: string): OpenRun | undefined {
  const time = runId.slice(0, ULID_TIME_CHARACTERS);
  for (const run of open) {
    const { envelopeId } = run;
    if (envelopeId.startsWith(time) && runIdOf(envelopeId as EnvelopeId) === runId) return run;
  }
  return undefined;
}

async function readPending(
  runId: string,
  run: OpenRun,
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
): Promise<OutputOf<'runs.get'> | undefined> {
  const stored = await readOpenRun(self, ledger, run);
  if (stored === undefined) return undefined;
  return {
    run_id: runId,
    envelope_id: run.envelopeId,
    session_key: run.sessionKey,
    status: 'pending',
    attempts: readInbox(stored, run.envelopeId)?.attempts ?? 0,
    created_at_ms: ulidTimeMs(run.envelopeId),
    reason: '',
    tape: [],
  };
}

export class SessionsMeter {
  readonly #ended = new Map<RunEnded['status'], number>();
  #leftOut = 0;
  #failedCalls = 0;
  #crashes = 0;
  #givenBack: GivenBack = { times: 0, bytes: 0 };

  countEnd({ status, leftOut = 0, failedCalls = 0 }: RunEnded): void {
    this.#ended.set(status, (this.#ended.get(status) ?? 0) + 1);
    this.#leftOut += leftOut;
    this.#failedCalls += failedCalls;
  }

  /** A session's incarnation that ended abnormally. */
  countCrash(): void {
    this.#crashes += 1;
  }

  countGivenBack({ times, bytes }: GivenBack): void {
    const { times: before, bytes: bytesBefore } = this.#givenBack;
    this.#givenBack = { times: before + times, bytes: bytesBefore + bytes };
  }

  toMetrics(now: {
    readonly openRuns: number;
    readonly children: number;
    readonly waiting: number;
  }): readonly Metric[] {
    const ended = RUN_ENDS.map((status) => ({
      labels: { status },
      value: this.#ended.get(status) ?? 0,
    }));
    return [
      {
        name: 'palyra_runs_ended_total',
        help: 'Runs by how they ended',
        type: 'counter',
        samples: ended,
      },
      {
        name: 'palyra_model_calls_total',
        help: 'Calls of the model that were an answer or failed, counted when their run ends',
        type: 'counter',
        samples: [
          { labels: { outcome: 'answered' }, value: this.#ended.get('done') ?? 0 },
          { labels: { outcome: 'failed' }, value: this.#failedCalls },
        ],
      },
      single(
        'palyra_run_turns_left_out_total',
        'counter',
        'Earlier turns that runs left out because the model had no room for them',
        this.#leftOut,
      ),
      single(
        'palyra_session_crashes_total',
        'counter',
        'Sessions that ended abnormally',
        this.#crashes,
      ),
      single(
        'palyra_session_texts_given_back_total',
        'counter',
        'Times a session gave back text that it held, to be read again, because its thread held too much',
        this.#givenBack.times,
      ),
      single(
        'palyra_session_given_back_bytes_total',
        'counter',
        'Bytes of the text that sessions gave back',
        this.#givenBack.bytes,
      ),
      single('palyra_runs_open', 'gauge', 'Runs not yet ended', now.openRuns),
      single('palyra_sessions_live', 'gauge', 'Sessions in memory', now.children),
      single('palyra_sessions_waiting', 'gauge', 'Sessions that wait for a place', now.waiting),
    ];
  }
}

function single(name: string, type: Metric['type'], help: string, value: number): Metric {
  return { name, help, type, samples: [{ labels: {}, value }] };
}
