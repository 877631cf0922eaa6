/** The testing kit of `palyra/testing`. */
export {
  type BehaviorKit,
  type BehaviorKitOptions,
  createBehaviorKit,
  type Effect,
  rejectionCode,
} from './behavior-kit.ts';
export { createProbe, type Probe, type ProbeMessage, type ProbeOptions } from './probe.ts';
export {
  reportOf,
  type Simulation,
  type SimulationFailure,
  type SimulationOptions,
  simulate,
} from './simulation/simulate.ts';
export { randomFrom, VirtualHost, type VirtualHostOptions } from './virtual-host.ts';
export {
  createVirtualSystem,
  type VirtualSystem,
  type VirtualSystemOptions,
} from './virtual-system.ts';
