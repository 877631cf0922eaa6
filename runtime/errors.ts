/**
 * The runtime's coded errors. Every error that leaves the runtime carries a `code` from the lists below. Where a process
 * has several copies of the package, `instanceof` in one knows the errors of all.
 */

export const RUNTIME_CODES = [
  'bad_child_spec',
  'bad_option',
  'unknown_module',
  'unknown_kind',
  'not_encodable',
  'bad_frame',
  'bad_schema',
  'bad_transfer',
  'duplicate_child',
  'too_many_children',
  'start_failed',
  'start_timeout',
  'restart_intensity',
  'stale_incarnation',
  'placement_unsupported',
  'system_stopped',
  'thread_unavailable',
  'control_timeout',
  'store_closed',
  'store_corrupt',
  'store_newer',
  'store_older',
  'store_missing',
  'store_locked',
  'store_busy',
  'store_failed',
  'no_temp_directory',
  'state_unavailable',
  'state_version',
  'state_full',
  'reminders_full',
  'job_failed',
  'job_timeout',
  'jobs_full',
] as const;
export type RuntimeCode = (typeof RUNTIME_CODES)[number];

export class RuntimeError extends Error {
  static {
    brand(RuntimeError, 'RuntimeError');
  }

  readonly code: string;
  readonly retryable: boolean;

  constructor(
    code: RuntimeCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryable?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RuntimeError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

export const ASK_CODES = [
  'ask_timeout',
  'ask_aborted',
  'ask_cycle',
  'actor_dead',
  'actor_crashed',
  'mailbox_full',
  'thread_lost',
  'unknown_kind',
  'not_encodable',
  'invalid_message',
  'refused',
  'too_many_asks',
] as const;
export type AskCode = (typeof ASK_CODES)[number];

/**
 * Why an ask has no reply. `retryable` is true where the message was certainly never handled and the actor may be asked again:
 * a full mailbox, or a lost thread to which it was not sent.
 */
export class AskError extends Error {
  static {
    brand(AskError, 'AskError');
  }

  readonly code: AskCode;
  readonly address: string;
  readonly kind: string;
  readonly retryable: boolean;

  constructor(
    code: AskCode,
    address: string,
    kind: string,
    options: {
      readonly detail?: string;
      readonly cause?: unknown;
      /** The message has not left the asker's thread. */
      readonly isUnsent?: boolean;
    } = {},
  ) {
    const detail = options.detail === undefined ? '' : `: ${options.detail}`;
    super(
      `ask ${kind} to ${address}: ${code}${detail}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = 'AskError';
    this.code = code;
    this.address = address;
    this.kind = kind;
    this.retryable =
      code === 'mailbox_full' || (code === 'thread_lost' && options.isUnsent === true);
  }
}

/** Thrown to code that outlived its incarnation: its messages must not mix with those of its successor. */
export class StaleIncarnation extends Error {
  static {
    brand(StaleIncarnation, 'StaleIncarnation');
  }

  readonly code = 'stale_incarnation';
  readonly retryable = false;

  readonly address: string;
  readonly incarnation: number;

  constructor(address: string, incarnation: number) {
    super(`${address}: incarnation ${incarnation} is over; its Self can do nothing any more`);
    this.name = 'StaleIncarnation';
    this.address = address;
    this.incarnation = incarnation;
  }
}

/** The stable code of anything thrown: its own string `code`, else `uncoded`. */
export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error) {
    if (typeof error.code === 'string' && error.code !== '') return error.code;
  }
  return 'uncoded';
}

/** What was thrown may be anything, also something that cannot be printed. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.message}` : String(error);
  } catch {
    return 'unprintable';
  }
}

/** `name` is given: a minified bundle calls its classes otherwise. A subclass knows its instances by their prototype. */
function brand(type: { readonly prototype: Error }, name: string): void {
  const key = Symbol.for(`palyra.${name}`);
  Object.defineProperty(type.prototype, key, { value: true });
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown) {
      if (this !== type) return Function.prototype[Symbol.hasInstance].call(this, value);
      return typeof value === 'object' && value !== null && key in value;
    },
  });
}
