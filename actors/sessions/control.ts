/** The operations and metrics that the sessions answer for: a run with its tape, runs by how they ended. */
import type { OutputOf } from '../../proto/control/catalogue.ts';
import type { Metric, OperationReply, OwnedCall } from '../../proto/control/owner.ts';
import { PalyraError, toWireError } from '../../proto/errors.ts';
import type { ActorRef } from '../../runtime/actor.ts';
import { AskError } from '../../runtime/errors.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import type { RunEnded } from './protocol.ts';
import { type Asker, LEDGER_DEADLINE } from './reading.ts';
import { parseRunRow, parseTapeRow, RUN_STATUSES, RUNS, TAPES } from './rows.ts';

const MAX_TAPE_ROWS = 1_000;

export async function operate(
  call: OwnedCall,
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
): Promise<OperationReply> {
  try {
    if (call.operation !== 'runs.get') {
      throw new PalyraError('not_found', `the sessions do not answer ${call.operation}`);
    }
    const { run_id: runId } = call.input as { readonly run_id: string };
    return { ok: true, output: await readRun(runId, self, ledger) };
  } catch (error) {
    const isAsk = error instanceof AskError;
    const shown = isAsk ? new PalyraError('unavailable', 'the ledger did not answer') : error;
    return { ok: false, error: toWireError(shown) };
  }
}

async function readRun(
  runId: string,
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
): Promise<OutputOf<'runs.get'>> {
  const tapeQuery = { table: TAPES, prefix: `${runId}:`, limit: MAX_TAPE_ROWS };
  const [[stored], page] = await Promise.all([
    self.ask(ledger, 'read', { table: RUNS, key: runId }, LEDGER_DEADLINE),
    self.ask(ledger, 'scan', tapeQuery, LEDGER_DEADLINE),
  ]);
  if (stored === undefined) throw new PalyraError('not_found', `no run ${runId}`);
  const { row } = parseRunRow(stored);
  return {
    run_id: runId,
    envelope_id: row.envelopeId,
    session_key: row.sessionKey,
    status: row.status,
    attempts: row.attempts,
    created_at_ms: row.createdAtMs,
    reason: row.reason,
    tape: page.rows.flatMap(({ key, row: tape }) => {
      const { entries, atMs } = parseTapeRow(tape);
      const first = Number(key.slice(runId.length + 1));
      return entries.map(({ type, text }, i) => ({ seq: first + i, type, text, at_ms: atMs }));
    }),
  };
}

export class SessionsMeter {
  readonly #ended = new Map<RunEnded['status'], number>();
  #crashes = 0;

  countEnd(status: RunEnded['status']): void {
    this.#ended.set(status, (this.#ended.get(status) ?? 0) + 1);
  }

  /** A session's incarnation that ended abnormally. */
  countCrash(): void {
    this.#crashes += 1;
  }

  toMetrics(now: {
    readonly openRuns: number;
    readonly children: number;
    readonly waiting: number;
  }): readonly Metric[] {
    const ended = RUN_STATUSES.flatMap((status) =>
      status === 'pending' ? [] : [{ labels: { status }, value: this.#ended.get(status) ?? 0 }],
    );
    return [
      {
        name: 'palyra_runs_ended_total',
        help: 'Runs by how they ended',
        type: 'counter',
        samples: ended,
      },
      single(
        'palyra_session_crashes_total',
        'counter',
        'Sessions that ended abnormally',
        this.#crashes,
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
