/** The map of this floor: contracts and the lazily loaded tables behind them. */

// For who writes a connector.
export type {
  Accepted,
  Connector,
  ConnectorAccount,
  ConnectorDeps,
  ConnectorKind,
  ConnectorPorts,
  DeliveryAttempt,
  HealthObservation,
  Liveness,
  Readiness,
  Refused,
} from './connector.ts';
// For who runs connectors.
export { BUILT_IN_KINDS, type KindLookup, type KindSource, loadKind } from './kinds.ts';
// For who asks models.
export type { Model, ModelOutcome, ModelRequest, ModelTurn } from './models/model.ts';
export { type ModelConfig, openModel } from './models/open-model.ts';
