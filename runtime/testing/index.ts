/** The testing kit of `palyra/testing`. */
export {
  type BehaviorKit,
  type BehaviorKitOptions,
  createBehaviorKit,
  type Effect,
  rejectionCode,
} from './behavior-kit.ts';
