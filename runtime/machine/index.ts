/** Pure state machines: XState's words to write one, and the table that runs it over plain data. */
export { and, assign, not, or, raise, setup } from 'xstate';
export { MACHINE_CODES, type MachineCode, MachineError } from './machine-error.ts';
export {
  createMachineTable,
  type MachineAction,
  type MachineState,
  type MachineStep,
  type MachineTable,
} from './machine-table.ts';
export { toMermaid } from './mermaid.ts';
