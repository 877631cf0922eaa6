/** What a whole journal says about runs: what ran twice, and what is open. */
import { type EnvelopeId, runIdOf } from '../../proto/ids.ts';
import type { JournalFact } from '../support/read-facts.ts';

export interface Runs {
  /** Events taken over from their sender, whether a run was made of them or a rule turned them away. */
  readonly accepted: number;
  readonly finished: number;
  /** Native ids with two envelopes, envelopes with two runs or two ends, runs with two deliveries: each named. */
  readonly twice: readonly string[];
  /** Envelopes whose run has not ended. */
  readonly open: readonly string[];
}

export function countRuns(facts: readonly JournalFact[]): Runs {
  const seen = new Set<string>();
  const twice: string[] = [];
  const once = (what: string) => {
    if (seen.has(what)) twice.push(what);
    seen.add(what);
  };
  const routed: string[] = [];
  const finished = new Set<string>();
  let accepted = 0;
  for (const fact of facts) {
    switch (fact.type) {
      case 'message.accepted':
        accepted += 1;
        once(`accepted ${fact.channel} ${fact.nativeId}`);
        once(`run of ${fact.envelopeId}`);
        routed.push(String(fact.envelopeId));
        break;
      case 'message.rejected':
        accepted += 1;
        once(`accepted ${fact.channel} ${fact.nativeId}`);
        break;
      case 'run.finished':
        once(`end of ${fact.envelopeId}`);
        if (fact.runId !== runIdOf(fact.envelopeId as EnvelopeId)) twice.push(`run ${fact.runId}`);
        finished.add(String(fact.envelopeId));
        break;
      case 'delivery.queued':
        once(`delivery ${fact.deliveryId}`);
        break;
    }
  }
  const open = routed.filter((envelopeId) => !finished.has(envelopeId));
  return { accepted, finished: finished.size, twice, open };
}
