/** One operation from call to reply: validate → scope → policy → idempotency → owner → audit. */
import { type OperationName, operations } from '../../proto/control/catalogue.ts';
import { errorsOf, type Operation, takesKey } from '../../proto/control/operation.ts';
import type { OperationOwner, OperationReply } from '../../proto/control/owner.ts';
import { type FieldIssue, PalyraError, toWireError } from '../../proto/errors.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import { AskError, codeOf } from '../../runtime/errors.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import {
  beginOnce,
  digestOf,
  endedRow,
  type IdempotencyMemory,
  idempotencyKeyOf,
  refuseOtherInput,
} from './idempotency.ts';
import { isAllowed, type PolicyRule } from './policy.ts';
import type { ControlCall, ControlProtocol } from './protocol.ts';
import { ended, type IdempotencyRow } from './rows.ts';
import { unanswered } from './unanswered.ts';

export interface Dispatch {
  readonly owners: Readonly<Record<OperationName, ActorRef<OperationOwner>>>;
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly policy: readonly PolicyRule[];
  readonly memory: IdempotencyMemory;
  /** What could not be written down is at least counted and logged. */
  unaudited(operation: string, code: string): void;
}

interface Request {
  readonly name: OperationName;
  readonly operation: Operation;
  readonly input: unknown;
  readonly resource: string;
  readonly call: ControlCall;
}

const OWNER_DEADLINE_MS = 25_000;
const AUDIT_DEADLINE_MS = 10_000;
const MAX_ISSUES = 20;

/** Never rejects: whatever goes wrong is an error of the wire. */
export async function dispatch(
  parts: Dispatch,
  call: ControlCall,
  self: Self<ControlProtocol>,
): Promise<OperationReply> {
  try {
    const request = validate(call);
    authorize(parts, request);
    return isChange(request)
      ? await change(parts, request, self)
      : await toOwner(parts, request, self);
  } catch (error) {
    return { ok: false, error: toWireError(translated(error)) };
  }
}

function validate(call: ControlCall): Request {
  const { operation: name } = call;
  if (!isOperation(name)) throw new PalyraError('not_found', 'there is no such operation');
  const operation: Operation = operations[name];
  if (operation.status === 'planned') throw new PalyraError('planned', `${name} is not served yet`);
  const parsed = operation.input.safeParse(call.input);
  if (!parsed.success) {
    const issues = parsed.error.issues
      .slice(0, MAX_ISSUES)
      .map((issue): FieldIssue => ({ field: issue.path.join('.'), message: issue.message }));
    throw new PalyraError('validation_error', `${name}: a field of the input is wrong`, { issues });
  }
  const input: unknown = parsed.data;
  return { name, operation, input, resource: operation.resource(input), call };
}

function isOperation(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}

function authorize({ policy }: Dispatch, { name, operation, resource, call }: Request): void {
  const { principal } = call;
  if (!principal.scopes.includes(operation.scope)) {
    throw new PalyraError('forbidden', `${name} needs the scope ${operation.scope}`);
  }
  if (!isAllowed(policy, { principal: principal.name, operation: name, resource })) {
    throw new PalyraError('forbidden', `no rule allows ${name} on ${resource}`);
  }
}

function isChange({ operation }: Request): boolean {
  return operation.kind === 'command' || operation.kind === 'job';
}

async function change(
  parts: Dispatch,
  request: Request,
  self: Self<ControlProtocol>,
): Promise<OperationReply> {
  const key = takesKey(request.operation) ? idempotencyKeyOf(request.call) : '';
  if (key === '') return perform(parts, request, self);
  const inputSha256 = digestOf(request.input);
  const earlier = parts.memory.find(key);
  if (earlier !== undefined) {
    refuseOtherInput(earlier.inputSha256, inputSha256);
    return earlier.reply;
  }
  const reply = performOnce(parts, request, { key, inputSha256 }, self);
  parts.memory.keep(key, { inputSha256, reply });
  return reply;
}

async function performOnce(
  parts: Dispatch,
  request: Request,
  { key, inputSha256 }: { readonly key: string; readonly inputSha256: string },
  self: Self<ControlProtocol>,
): Promise<OperationReply> {
  const row: IdempotencyRow = {
    v: 1,
    operation: request.name,
    inputSha256,
    status: 'begun',
    output: null,
    errorCode: '',
    errorMessage: '',
    atMs: self.clock.wallMs(),
  };
  try {
    const replayed = await beginOnce(row, key, parts.ledger, self);
    if (replayed !== undefined) return replayed;
  } catch (error) {
    // Nothing was begun here: the next call with this key asks the row again.
    parts.memory.forget(key);
    return { ok: false, error: toWireError(translated(error)) };
  }
  return perform(parts, request, self, { key, row });
}

/** The owner's reply, after its audit is flushed and its key has what a repeat meets. */
async function perform(
  parts: Dispatch,
  request: Request,
  self: Self<ControlProtocol>,
  begun?: { readonly key: string; readonly row: IdempotencyRow },
): Promise<OperationReply> {
  const reply = await toOwner(parts, request, self).catch(withoutReply);
  const { name, resource, call } = request;
  const outcome = reply.ok ? 'ok' : reply.error.code;
  const audit = {
    principal: call.principal.name,
    operation: name,
    resource,
    outcome,
    trace: call.trace,
  };
  const kept = begun && { key: begun.key, row: endedRow(begun.row, reply) };
  try {
    const changes = ended(audit, kept);
    const deadline = { inMs: AUDIT_DEADLINE_MS };
    const written = await self.ask(parts.ledger, 'commit', { changes, admits: false }, deadline);
    if (!written.ok) parts.unaudited(name, written.code);
  } catch (error) {
    parts.unaudited(name, codeOf(error));
  }
  // This reply is not what a repeat gets: it is begun again, or meets the row.
  if (kept !== undefined && kept.row?.status !== 'done' && kept.row?.status !== 'refused') {
    parts.memory.forget(kept.key);
  }
  return reply;
}

async function toOwner(
  { owners }: Dispatch,
  { name, operation, input, call }: Request,
  self: Self<ControlProtocol>,
): Promise<OperationReply> {
  const owned = { operation: name, input, principal: call.principal.name };
  const reply = await self.ask(owners[name], 'operate', owned, { inMs: OWNER_DEADLINE_MS });
  if (reply.ok || errorsOf(operation).includes(reply.error.code)) return reply;
  // Faces and programs are made from the catalogue: a code that is not in it is a defect, and shown as one.
  const message = `${name} was refused with ${reply.error.code}, which its catalogue entry does not name`;
  return { ...reply, error: toWireError(new PalyraError('internal_error', message)) };
}

/** The owner gave no reply. Where none was there, or it had no place, it took nothing; one that ended meanwhile, or was late, may have. */
function withoutReply(error: unknown): OperationReply {
  const refusal = { ok: false, error: toWireError(translated(error)) } as const;
  const isUntaken = error instanceof AskError && (error.retryable || error.code === 'actor_dead');
  return isUntaken ? refusal : { ...refusal, mayHaveHappened: true };
}

function translated(error: unknown): unknown {
  return error instanceof AskError ? unanswered(error) : error;
}
