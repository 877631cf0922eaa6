/** Reads a running gateway's whole journal and says what ran twice. */
import { type EnvelopeId, runIdOf } from '../../proto/ids.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';

type Fact = Readonly<Record<string, string | number | boolean>>;

interface Page {
  readonly entries: readonly { readonly facts: readonly Fact[] }[];
  readonly next: number;
}

const PAGE = 500;

export async function readFacts(gateway: GatewayProcess): Promise<readonly Fact[]> {
  const facts: Fact[] = [];
  for (let after = 0; ; ) {
    const page = (await gateway.admin(`/admin/v1/journal?after=${after}&limit=${PAGE}`)) as Page;
    for (const entry of page.entries) facts.push(...entry.facts);
    if (page.next === after) return facts;
    after = page.next;
  }
}

export interface Runs {
  /** Events taken over from their sender, whether a run was made of them or a rule turned them away. */
  readonly accepted: number;
  readonly finished: number;
  /** Native ids with two envelopes, envelopes with two runs or two ends, runs with two deliveries: each named. */
  readonly twice: readonly string[];
  /** Envelopes whose run has not ended. */
  readonly open: readonly string[];
}

export function countRuns(facts: readonly Fact[]): Runs {
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
