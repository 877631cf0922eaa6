/** An account without a platform: it delivers to nowhere, with ids that can be foretold, and never receives by itself. */
import { PalyraError } from '../../proto/errors.ts';
import type {
  Connector,
  ConnectorAccount,
  ConnectorDeps,
  ConnectorKind,
  ConnectorPorts,
  DeliveryAttempt,
} from '../connector.ts';
import { createHealthReporter, type HealthReporter } from '../health-reporter.ts';
import { checkOptionRules, onUnknown } from '../options.ts';
import { createEchoOutbound, type EchoOutbound } from './outbound.ts';

export const echoKind: ConnectorKind = {
  kind: 'echo',
  availability: 'internal_test_only',
  needsCredential: false,
  checkOptions: (options) => checkOptionRules('echo', { on_unknown: onUnknown }, options),
  create: (account, deps) => new EchoConnector(account, deps),
};

class EchoConnector implements Connector {
  readonly #life = new AbortController();
  readonly #outbound: EchoOutbound;
  readonly #deps: ConnectorDeps;
  #health: HealthReporter | undefined;

  constructor(account: ConnectorAccount, deps: ConnectorDeps) {
    this.#deps = deps;
    this.#outbound = createEchoOutbound({
      connectorId: account.connectorId,
      life: this.#life.signal,
      sleep: (ms, signal) => deps.sleep(ms, signal),
      health: (observation) => this.#health?.report(observation),
    });
  }

  async open(ports: ConnectorPorts, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#life.signal.aborted) {
      throw new PalyraError('failed_precondition', 'the connector is closed');
    }
    this.#health = createHealthReporter(ports, this.#deps.log);
    this.#health.report({ readiness: 'ready', liveness: 'running', reason: '' });
  }

  /** Nothing to stop: what is injected comes through the gateway, not through here. */
  async stopReceiving(): Promise<void> {
    this.#health?.report({ readiness: 'ready', liveness: 'stopped', reason: 'stopped receiving' });
  }

  async deliver(attempt: DeliveryAttempt, signal: AbortSignal) {
    return this.#outbound.deliver(attempt, signal);
  }

  async close(): Promise<void> {
    if (this.#life.signal.aborted) return;
    this.#life.abort(new PalyraError('stopping', 'the connector is closed'));
    this.#health = undefined;
  }

  split(text: string): readonly string[] {
    return [text];
  }
}
