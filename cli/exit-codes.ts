/** The exit codes of `palyra` and the error that carries one. It prints nothing and exits nothing. */
import { codeOf, messageOf } from '../runtime/errors.ts';
import { ConfigError } from './config/config-error.ts';

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  unreachable: 5,
  defect: 70,
  storage: 74,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command: a stable code for programs, a sentence for people, the next step, the exit code. */
export class CliError extends Error {
  readonly code: string;
  readonly exitCode: ExitCode;
  /** What to do now; '' where nothing helps. */
  readonly next: string;

  constructor(
    code: string,
    exitCode: ExitCode,
    message: string,
    options: { readonly next?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.code = code;
    this.exitCode = exitCode;
    this.next = options.next ?? '';
  }
}

/** Codes of the gateway, the store and the machine that a command may end with. */
const BY_CODE: Readonly<Record<string, readonly [ExitCode, string]>> = {
  unauthorized: [
    EXIT.refused,
    'give --token-ref, or set PALYRA_ADMIN_TOKEN to the token that the gateway was started with',
  ],
  forbidden: [EXIT.refused, ''],
  read_only: [EXIT.refused, 'change it in the configuration file and restart the gateway'],
  already_exists: [EXIT.refused, 'choose another id'],
  message_rejected: [
    EXIT.refused,
    'check the channel’s rule in [[channel_router.routing.channels]]',
  ],
  webhook_disabled: [EXIT.refused, 'enable the integration and try again'],
  failed_precondition: [EXIT.refused, ''],
  secret_unavailable: [EXIT.refused, 'provide what the secret reference names'],
  not_found: [
    EXIT.notFound,
    'list what there is with palyra channels list or palyra webhooks list',
  ],
  malformed: [EXIT.usage, ''],
  validation_error: [EXIT.usage, ''],
  invalid_options: [EXIT.usage, ''],
  duplicate_webhook: [
    EXIT.usage,
    'give the webhook of the configuration file another integration_id: one of this id was added by command',
  ],
  bind_refused: [EXIT.refused, 'listen on 127.0.0.1 or [::1]'],
  state_root_unusable: [
    EXIT.refused,
    'give a --state-root that is a directory of this user, or that can be made',
  ],
  store_locked: [EXIT.refused, 'stop the other gateway, or give another --state-root'],
  store_corrupt: [
    EXIT.failure,
    'nothing was changed; restore a backup into another --state-root together with the vault.key of this one, or check it with palyra journal verify',
  ],
  vault_key_missing: [
    EXIT.refused,
    'put the vault.key that the store was used with into the state root; where it is lost for good, 32 random bytes in its place start the gateway without those secrets, with an admin token that token_ref under [admin] names',
  ],
  store_newer: [
    EXIT.failure,
    'nothing was changed; start it with the newer version that wrote this state root',
  ],
  store_older: [
    EXIT.failure,
    'nothing was changed; use the version that wrote this state root, or another --state-root',
  ],
  store_busy: [EXIT.failure, 'try again'],
  no_temp_directory: [
    EXIT.refused,
    'set TMPDIR to a directory that this user may write to and that has room',
  ],
  store_missing: [EXIT.notFound, 'give the --state-root that a gateway ran on'],
  store_failed: [EXIT.storage, 'make room on the disk or check it, then start again'],
  storage_low: [EXIT.storage, 'make room on the disk of the state root'],
  ENOSPC: [EXIT.storage, 'make room on the disk of the state root'],
  EROFS: [EXIT.storage, 'give a --state-root that can be written'],
  EACCES: [EXIT.refused, 'give a path or port that this user may use'],
  address_in_use: [EXIT.refused, 'give another --http HOST:PORT; port 0 picks a free one'],
  address_refused: [EXIT.refused, 'give another --http HOST:PORT, with a port above 1023'],
  address_unknown: [EXIT.refused, 'listen on an address of this machine, e.g. 127.0.0.1'],
  stopping: [EXIT.unreachable, 'try again when the gateway is up'],
  unavailable: [EXIT.unreachable, 'try again; palyra status shows what is degraded'],
  deadline_exceeded: [EXIT.unreachable, 'try again; palyra status shows what is degraded'],
  revision_conflict: [EXIT.failure, 'try again'],
  busy: [EXIT.failure, 'try again later'],
  rate_limited: [EXIT.failure, 'try again later'],
  conversation_busy: [EXIT.failure, 'try again when the conversation has caught up'],
};

/** Anything thrown, as a command ends with it. What nobody expected is a defect, exit 70. */
export function toCliError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof ConfigError) {
    const next = 'palyra config schema prints what a file may hold';
    return new CliError(error.code, EXIT.usage, error.message, { next, cause: error });
  }
  const code = codeOf(error);
  const known = Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined;
  if (known !== undefined) {
    const [exitCode, next] = known;
    return new CliError(code, exitCode, messageOf(error), { next, cause: error });
  }
  return new CliError('internal_error', EXIT.defect, messageOf(error), {
    next: 'this is a defect: report it with the command and the log',
    cause: error,
  });
}
