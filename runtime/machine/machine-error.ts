/** The adapter's coded error. */

export const MACHINE_CODES = ['bad_machine', 'bad_machine_state', 'bad_machine_input'] as const;
export type MachineCode = (typeof MACHINE_CODES)[number];

export class MachineError extends Error {
  readonly code: MachineCode;
  readonly machine: string;
  readonly retryable = false;

  constructor(
    code: MachineCode,
    machine: string,
    detail: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(`machine ${machine}: ${detail}`, options);
    this.name = 'MachineError';
    this.code = code;
    this.machine = machine;
  }
}
