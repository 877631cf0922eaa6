/** What a run's end makes durable, and what a session shows its model. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type InboxRow, inboxKey } from '../../../actors/router/rows.ts';
import { planFinish, type RunOutcome } from '../../../actors/sessions/finish.ts';
import { DEFAULT_HISTORY_LIMITS, History } from '../../../actors/sessions/history.ts';
import type { RunRow } from '../../../actors/sessions/rows.ts';
import { RunQueue, type Waiting } from '../../../actors/sessions/run-queue.ts';
import { SessionMemory } from '../../../actors/sessions/session-memory.ts';
import type { Task } from '../../../actors/sessions/task.ts';
import { ulidTimeMs } from '../../../proto/ids.ts';
import type { ChangeSet } from '../../../runtime/store/store.ts';
import { offer } from './story-fakes.ts';

const test = suite('actors/sessions/finish');

const ENVELOPE = '01MCC5RQ6SDN2NWHH8Z7RZP6Q8';

const SESSION = 'channel:echo:default:conversation:42';
const RUN = '01MCC5RQ6SC2RXR6VMB4F31CHC';

function taskOf(more: Partial<InboxRow> = {}): Task & { readonly row: InboxRow } {
  const { nativeId, ...event } = offer('42', '42:7', 'hello');
  const row: InboxRow = {
    v: 1,
    event: { ...event, envelopeId: ENVELOPE, adapterMessageId: nativeId },
    replyTo: { connectorId: 'echo:default', conversationId: '42', threadId: '' },
    responsePrefix: '',
    trace: 't',
    attempts: 0,
    crashes: 0,
    processEnds: 0,
    ...more,
  };
  return { sessionKey: SESSION, envelopeId: ENVELOPE, runId: RUN, revision: 3, row };
}

const waiting = (envelopeId: string, bytes: number): Waiting => ({
  sessionKey: SESSION,
  envelopeId,
  runId: envelopeId,
  row: new Uint8Array(bytes),
  task: undefined,
});

const tapeOf = ({ put }: ChangeSet) =>
  put.flatMap(({ table, row }) => (table === 'runs' ? (row as RunRow).tape : []));

function finish(outcome: RunOutcome, more: Partial<InboxRow> = {}, task: Task = taskOf(more)) {
  const { end, ...plan } = planFinish(task, outcome, 1_000);
  return { ...plan, ...end };
}

const answer = (text: string, leftOut = 0): RunOutcome => ({
  type: 'answered',
  text,
  promptTokens: 1,
  completionTokens: 2,
  leftOut,
});

test('a finish expects the revisions it was planned from, so that it can happen once only', () => {
  const { changes } = finish(answer('hi'));
  const { expect, remove } = changes;
  const inbox = { table: 'inbox', key: inboxKey(SESSION, ENVELOPE) };
  assert.equal(expect, [{ ...inbox, revision: 3 }]);
  assert.equal(remove, [inbox]);
});

test('the row of an ended run says how it ended, when it was accepted, and what cut it before', () => {
  const { changes } = finish(answer('hi'), { attempts: 3, crashes: 1 });
  const run = changes.put.filter(({ table }) => table === 'runs');
  const row = {
    v: 1,
    status: 'done',
    sessionKey: SESSION,
    envelopeId: ENVELOPE,
    attempts: 3,
    crashes: 1,
    createdAtMs: ulidTimeMs(ENVELOPE),
    endedAtMs: 1_000,
    reason: '',
    tape: [
      { type: 'message.received', text: 'hello' },
      { type: 'message.replied', text: 'hi' },
      { type: 'status', text: 'done' },
    ],
  };
  assert.equal(run, [{ table: 'runs', key: RUN, row }]);
  const [fact, ...others] = changes.facts;
  assert.equal(others, []);
  assert.equal([fact?.type, fact?.runId, fact?.envelopeId], ['run.finished', RUN, ENVELOPE]);
  assert.equal([fact?.sessionKey, fact?.status, fact?.attempts], [SESSION, 'done', 3]);
});

test('a run whose row cannot be read ends without a reply, and leaves the inbox all the same', () => {
  const outcome = { type: 'failed', reason: 'event_unreadable', detail: '' } as const;
  const { changes, outputs, status } = finish(outcome, {}, { ...taskOf(), row: undefined });
  assert.is(status, 'failed');
  assert.equal(outputs, []);
  const inbox = { table: 'inbox', key: inboxKey(SESSION, ENVELOPE) };
  assert.equal(changes.expect, [{ ...inbox, revision: 3 }]);
  assert.equal(changes.remove, [inbox]);
});

test('an answer is one exchange after the ones before, a tape, and a reply to the message', () => {
  const { changes, outputs, turns, status } = finish(answer(' hi '));
  assert.is(status, 'done');
  assert.equal(turns, [
    { role: 'user', text: 'hello' },
    { role: 'assistant', text: 'hi' },
  ]);
  const keys = changes.put.flatMap(({ table, key }) => (table === 'turns' ? [key] : []));
  assert.equal(keys, [`${SESSION}\0${ENVELOPE}`]);
  assert.is(tapeOf(changes).length, 3);
  assert.equal(outputs[0]?.message, { text: 'hi', inReplyTo: '42:7', attachments: [] });
});

test('a prefix is put before the reply once, and stays out of what the model sees', () => {
  const { outputs, turns } = finish(answer('hi'), { responsePrefix: '[bot] ' });
  assert.is(outputs[0]?.message.text, '[bot] hi');
  assert.is(turns[1]?.text, 'hi');
  const again = finish(answer('[bot] hi'), { responsePrefix: '[bot] ' });
  assert.is(again.outputs[0]?.message.text, '[bot] hi');
});

test('a reply to another conversation names no message of the first', () => {
  const replyTo = { connectorId: 'telegram:main', conversationId: '42', threadId: '' };
  assert.is(finish(answer('hi'), { replyTo }).outputs[0]?.message.inReplyTo, '');
});

test('without a reply target the output ends on the tape', () => {
  const { changes, outputs } = finish(answer('hi'), { replyTo: null });
  assert.is(outputs.length, 0);
  const texts = tapeOf(changes).map(({ text }) => text);
  assert.equal(texts, ['hello', 'hi', 'done']);
});

test('a failure tells its conversation the code, and leaves no turn behind', () => {
  const { changes, outputs, turns, status } = finish({
    type: 'failed',
    reason: 'model_failed',
    detail: 'http_500',
  });
  assert.is(status, 'failed');
  assert.equal(turns, []);
  assert.match(outputs[0]?.message.text ?? '', 'model_failed');
  assert.not.match(outputs[0]?.message.text ?? '', 'http_500');
  assert.not(changes.put.some(({ table }) => table === 'turns'));
});

test('a blank answer is acknowledged, and an endless one is cut at a character', () => {
  assert.is(finish(answer('  ')).outputs[0]?.message.text, 'ack');
  const long = finish(answer('ü'.repeat(100_000))).outputs[0]?.message.text ?? '';
  assert.ok(Buffer.byteLength(long) <= 131_072);
  assert.not.match(long, '\uFFFD');
});

test('facts carry sizes and digests, never the text', () => {
  const { changes } = finish(answer('private'));
  assert.not.match(JSON.stringify(changes.facts), 'private');
  assert.not.match(JSON.stringify(changes.facts), 'hello');
});

test('the model sees the newest turns that fit, beginning with a user’s', () => {
  const history = new History(new SessionMemory(), DEFAULT_HISTORY_LIMITS);
  history.set([]);
  for (let i = 0; i < 30; i += 1) {
    history.append([
      { role: 'user', text: `q${i}` },
      { role: 'assistant', text: `a${i}` },
    ]);
  }
  const turns = history.toRequest('now');
  assert.is(turns.length, 41);
  assert.equal(turns[0], { role: 'user', text: 'q10' });
  const wide = new History(new SessionMemory(), DEFAULT_HISTORY_LIMITS);
  wide.set([{ role: 'user', text: 'x' }]);
  wide.append([
    { role: 'assistant', text: 'y'.repeat(200_000) },
    { role: 'user', text: 'z'.repeat(100_000) },
  ]);
  assert.is(wide.toRequest('now').length, 2);
});

test('what the model had no room for is on the tape, and the next request is without it', () => {
  const { leftOut, changes } = finish(answer('hi', 2));
  assert.is(leftOut, 2);
  assert.equal(tapeOf(changes).at(-1), {
    type: 'status',
    text: 'done: the model had no room for 2 earlier turns',
  });
  const memory = new SessionMemory();
  const history = new History(memory, { exchanges: 3, bytes: 1_000 });
  history.set([{ role: 'assistant', text: 'to a question that is gone' }]);
  for (const n of [1, 2, 3]) {
    history.append([
      { role: 'user', text: `q${n}` },
      { role: 'assistant', text: `a${n}` },
    ]);
  }
  history.leaveOut(2);
  assert.equal(
    history.toRequest('now').map(({ text }) => text),
    ['q2', 'a2', 'q3', 'a3', 'now'],
  );
  assert.is(memory.bytes, 8);
  history.leaveOut(4);
  assert.is(history.toRequest('now').length, 1);
});

test('runs stand in the order of their envelopes, behind the one that is under way, and are held with their rows as far as memory is given', () => {
  const queue = new RunQueue(new SessionMemory());
  const add = (envelopeId: string, isHeadTaken: boolean) => {
    queue.add(waiting(envelopeId, 40_000), isHeadTaken);
  };
  add('C', false);
  add('B', false);
  assert.is(queue.head?.envelopeId, 'B');
  add('A', true);
  assert.is(queue.head?.envelopeId, 'B');
  for (let i = 0; i < 20; i += 1) add(`D${String(i).padStart(2, '0')}`, true);
  add('D00', true);
  assert.is(queue.size, 23);
  const order: string[] = [];
  let held = 0;
  for (let head = queue.head; head !== undefined; head = queue.head) {
    order.push(head.envelopeId);
    if (head.row !== undefined) held += 1;
    queue.shift();
  }
  assert.equal(order.slice(0, 4), ['B', 'A', 'C', 'D00']);
  assert.ok(held > 0 && held <= 7, `${held} of them are held with their rows`);
});

test('what a queue gives back is what waits behind its head, and all is given back at its close', () => {
  const memory = new SessionMemory();
  const queue = new RunQueue(memory);
  for (const envelopeId of ['A', 'B', 'C']) {
    queue.add(waiting(envelopeId, 100), true);
  }
  const held = memory.bytes;
  assert.ok(held > 0);
  queue.shift();
  assert.ok(memory.bytes > 0 && memory.bytes < held);
  queue.giveBack();
  assert.equal([queue.head?.envelopeId, queue.head?.row?.length], ['B', 100]);
  queue.shift();
  assert.equal([queue.head?.envelopeId, queue.head?.row], ['C', undefined]);
  queue.close();
  assert.is(memory.bytes, 0);
});

test('a history holds its newest turns up to its bound, and knows nothing after it gave them back', () => {
  const memory = new SessionMemory();
  const history = new History(memory, DEFAULT_HISTORY_LIMITS);
  assert.is(history.isKnown, false);
  history.set([]);
  for (let i = 0; i < 40; i += 1) history.append([{ role: 'user', text: 'x'.repeat(30_000) }]);
  assert.is(memory.bytes, 240_000);
  assert.is(history.toRequest('now').length, 9);
  history.set([{ role: 'user', text: 'x' }]);
  assert.is(memory.bytes, 1);
  history.close();
  history.append([{ role: 'user', text: 'y' }]);
  assert.equal([history.isKnown, memory.bytes], [false, 0]);
});

test.run();
