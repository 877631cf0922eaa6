/** The map of this floor: contracts and the lazily loaded tables behind them. */

// For who writes one.
export {
  type Accepted,
  type Connector,
  type ConnectorAccount,
  type ConnectorDeps,
  type ConnectorKind,
  type ConnectorPorts,
  type DeliveryAttempt,
  type HealthObservation,
  LIVENESSES,
  type Liveness,
  READINESSES,
  type Readiness,
  type Refused,
} from './connector.ts';
// For who runs connectors.
export { BUILT_IN_KINDS, type KindLookup, type KindSource, loadKind } from './kinds.ts';
// For who asks models.
export type { Model, ModelOutcome, ModelRequest, ModelTurn } from './models/model.ts';
export { type ModelConfig, openModel } from './models/open-model.ts';
export {
  checkOptionRules,
  httpRoot,
  integerBetween,
  type OptionRule,
  type OptionRules,
  oneOf,
  onUnknown,
  trueOrFalse,
} from './options.ts';
