/** What connectors under test are given: waits that are recorded and cut short, logs that are kept. */
import type {
  Accepted,
  ConnectorDeps,
  ConnectorPorts,
  HealthObservation,
  Refused,
} from '../../connectors/connector.ts';
import type { InboundOffer } from '../../proto/channel-messages.ts';

export interface TestDeps extends ConnectorDeps {
  /** Every wait asked for, in milliseconds. */
  readonly waitsMs: number[];
  /** Every log line, as JSON. */
  readonly lines: string[];
}

const LONGEST_WAIT_MS = 3;

export function createTestDeps(credential: string): TestDeps {
  const waitsMs: number[] = [];
  const lines: string[] = [];
  return {
    credential,
    waitsMs,
    lines,
    wallMs: () => 1_800_000_000_000 + performance.now(),
    random: () => 0.5,
    log: (level, message, fields) => void lines.push(JSON.stringify({ level, message, ...fields })),
    sleep(ms, signal) {
      waitsMs.push(ms);
      return new Promise((resolve, reject) => {
        const abort = () => {
          clearTimeout(timer);
          reject(new Error('aborted'));
        };
        const timer = setTimeout(
          () => {
            signal.removeEventListener('abort', abort);
            resolve();
          },
          Math.min(ms, LONGEST_WAIT_MS),
        );
        if (signal.aborted) abort();
        else signal.addEventListener('abort', abort, { once: true });
      });
    },
  };
}

export interface TestPorts extends ConnectorPorts {
  readonly offers: InboundOffer[];
  readonly healths: HealthObservation[];
  readonly ignoredReasons: string[];
  readonly health: (observation: HealthObservation) => void;
}

/** Ports whose `accept` answers as `decide` says; by default everything is accepted. */
export function createTestPorts(
  decide: (offer: InboundOffer, nth: number) => Promise<Accepted | Refused> = async () =>
    accepted('E1'),
): TestPorts {
  const offers: InboundOffer[] = [];
  const healths: HealthObservation[] = [];
  const ignoredReasons: string[] = [];
  return {
    offers,
    healths,
    ignoredReasons,
    async accept(offer) {
      offers.push(offer);
      return decide(offer, offers.length);
    },
    health: (observation) => void healths.push(observation),
    ignored: (reason) => void ignoredReasons.push(reason),
  };
}

export function accepted(envelopeId: string): Accepted {
  return { accepted: true, envelopeId, duplicate: false };
}

export function never(): AbortSignal {
  return new AbortController().signal;
}
