/** Tells a connector's owner what changed in its health, once per change; an owner that is gone harms nobody. */
import type { ConnectorDeps, ConnectorPorts, HealthObservation } from './connector.ts';

export interface HealthReporter {
  report(observation: HealthObservation): void;
  readonly last: HealthObservation | undefined;
}

export function createHealthReporter(
  ports: Pick<ConnectorPorts, 'health'>,
  log: ConnectorDeps['log'],
): HealthReporter {
  let last: HealthObservation | undefined;
  return {
    get last() {
      return last;
    },
    report(observation) {
      if (last !== undefined && isSame(last, observation)) return;
      last = observation;
      try {
        ports.health(observation);
      } catch (error) {
        log('debug', 'nobody takes the health report', { error: String(error) });
      }
    },
  };
}

function isSame(one: HealthObservation, other: HealthObservation): boolean {
  return (
    one.readiness === other.readiness &&
    one.liveness === other.liveness &&
    one.reason === other.reason
  );
}
