/** A run's end as a change set, and what the outbox is to deliver: rows, tape, and the words that go back to the conversation. Pure. */
import { hash } from 'node:crypto';
import type { InboundMessageEvent, ReplyTarget } from '../../proto/channel-messages.ts';
import type { ChangeSet } from '../../runtime/store/store.ts';
import type { FinishRequest } from '../outbox/protocol.ts';
import type { InboxRow, OpenRun } from '../router/rows.ts';
import type { RunResult } from '../runs/protocol.ts';
import type { RunEnded } from './protocol.ts';
import { endedRunChanges, type RunEnd, type RunEndStatus } from './rows.ts';
import type { Task } from './task.ts';

export type RunOutcome = RunResult | { readonly type: 'quarantined'; readonly reason: string };

export interface Finish {
  readonly trace: string;
  readonly changes: ChangeSet;
  /** Empty where the output ends on the run's tape. */
  readonly outputs: FinishRequest['outputs'];
  readonly end: Finished;
}

/** What its session needs to know of a run's end once that is durable. */
export interface Finished {
  readonly runId: string;
  readonly status: RunEndStatus;
  /** What the session remembers of it. */
  readonly turns: RunEnd['turns'];
  /** Of what the session remembered before, the oldest turns: the model had no room for them. */
  readonly leftOut: number;
}

/** A reply beyond this is cut: no platform shows it, and the ledger is no file store. */
const MAX_REPLY_BYTES = 131_072;
/** What a conversation gets for an answer without text. */
const BLANK_ANSWER = 'ack';

export function planFinish(task: Task, outcome: RunOutcome, nowMs: number): Finish {
  const { runId, sessionKey, envelopeId, revision, row: inbox } = task;
  const end = toEnd(outcome, inbox);
  const { status, reason, turns } = end;
  return {
    trace: inbox?.trace ?? '',
    changes: endedRunChanges({
      runId,
      sessionKey,
      envelopeId,
      revision,
      attempts: inbox?.attempts ?? 0,
      crashes: inbox?.crashes ?? 0,
      status,
      reason,
      endedAtMs: nowMs,
      turns,
      tape: toTape(end, inbox),
      cost: toCost(end, outcome),
    }),
    outputs: !inbox?.replyTo ? [] : [toOutput(end.reply, inbox, inbox.replyTo)],
    end: { runId, status, turns, leftOut: leftOutOf(outcome) },
  };
}

function leftOutOf(outcome: RunOutcome): number {
  return outcome.type === 'answered' ? outcome.leftOut : 0;
}

/** What the dispatcher hears of the end of `run`. `outcome` is undefined where the end was read. */
export function toEnded(
  { sessionKey, envelopeId }: OpenRun,
  status: RunEndStatus,
  outcome: RunOutcome | undefined,
): RunEnded {
  const ended = { sessionKey, envelopeId, status };
  if (outcome === undefined || outcome.type === 'quarantined') return ended;
  const leftOut = leftOutOf(outcome);
  const { failedCalls = 0 } = outcome;
  if (leftOut === 0 && failedCalls === 0) return ended;
  return { ...ended, leftOut, failedCalls };
}

interface End {
  readonly status: RunEndStatus;
  readonly reason: string;
  readonly detail: string;
  readonly reply: string;
  readonly turns: RunEnd['turns'];
}

/** A message that was not answered leaves no turn: what broke the model once must not stay in its context. */
function toEnd(outcome: RunOutcome, inbox: InboxRow | undefined): End {
  if (outcome.type !== 'answered') {
    const { reason } = outcome;
    const status = outcome.type;
    const detail = outcome.type === 'failed' ? outcome.detail : '';
    const reply = `This message could not be answered (${reason}).`;
    return { status, reason, detail, reply, turns: [] };
  }
  const { leftOut } = outcome;
  const answer = clip(outcome.text.trim() || BLANK_ANSWER);
  return {
    status: 'done',
    reason: '',
    detail: leftOut === 0 ? '' : `the model had no room for ${leftOut} earlier turns`,
    reply: withPrefix(inbox?.responsePrefix ?? '', answer),
    turns: [
      { role: 'user', text: inbox?.event.body ?? '' },
      { role: 'assistant', text: answer },
    ],
  };
}

function toTape(end: End, inbox: InboxRow | undefined): RunEnd['tape'] {
  let said: string = end.status;
  if (end.reason !== '') said += `: ${end.reason}`;
  if (end.detail !== '') said += `: ${end.detail}`;
  return [
    { type: 'message.received', text: inbox?.event.body ?? '' },
    { type: 'message.replied', text: end.reply },
    { type: 'status', text: said },
  ];
}

function toCost(end: End, outcome: RunOutcome): RunEnd['cost'] {
  const isAnswered = outcome.type === 'answered';
  return {
    replyBytes: Buffer.byteLength(end.reply),
    replySha256: hash('sha256', end.reply, 'hex'),
    promptTokens: isAnswered ? outcome.promptTokens : 0,
    completionTokens: isAnswered ? outcome.completionTokens : 0,
  };
}

function toOutput(text: string, inbox: InboxRow, target: ReplyTarget) {
  const inReplyTo = isSameConversation(inbox.event, target) ? inbox.event.adapterMessageId : '';
  return { target, message: { text, inReplyTo, attachments: [] } };
}

/** A message id means something only where it was given. */
function isSameConversation(event: InboundMessageEvent, target: ReplyTarget): boolean {
  return event.connectorId === target.connectorId && event.conversationId === target.conversationId;
}

function withPrefix(prefix: string, text: string): string {
  return text.startsWith(prefix) ? text : prefix + text;
}

function clip(text: string): string {
  if (Buffer.byteLength(text) <= MAX_REPLY_BYTES) return text;
  const bytes = Buffer.from(text).subarray(0, MAX_REPLY_BYTES - 3);
  return `${new TextDecoder().decode(bytes).replace(/\uFFFD+$/, '')}…`;
}
