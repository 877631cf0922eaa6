/** Makes a crash that is charged to a run durable, before anything tries that run again. */
import type { ActorRef } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import { type OpenRun, parseInboxRow } from '../router/rows.ts';
import { type Asker, LEDGER_DEADLINE, readOpenRun } from './reading.ts';
import { cutRunChanges } from './rows.ts';

/** The session that died may have had a change of the same row under way. */
const MAX_TRIES = 3;

/**
 * What came of it: `counted`, `ended` where the run is over, else the code of what stood in the way. It never rejects:
 * a restart waits for it, and an uncounted crash is better than a session that stays down.
 */
export async function blameRun(
  run: OpenRun,
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
): Promise<string> {
  let code = 'conflict';
  for (let tries = 0; tries < MAX_TRIES && code === 'conflict'; tries += 1) {
    try {
      code = await countCrash(run, self, ledger);
    } catch (error) {
      code = codeOf(error);
    }
  }
  return code;
}

async function countCrash(
  run: OpenRun,
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
): Promise<string> {
  const stored = await readOpenRun(self, ledger, run);
  if (stored === undefined) return 'ended';
  // The session counts the attempt when it takes the run up again.
  const cut = { attempt: false, blamed: true, processEnd: false };
  const { changes } = cutRunChanges(run, parseInboxRow(stored, run.envelopeId), cut);
  const reply = await self.ask(ledger, 'commit', { changes, admits: false }, LEDGER_DEADLINE);
  return reply.ok ? 'counted' : reply.code;
}
