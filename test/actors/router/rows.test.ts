/** An inbox row leaves out what is usual, and is read as it was. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type InboxRow, parseInboxRow, writtenInbox } from '../../../actors/router/rows.ts';
import type { EnvelopeId } from '../../../proto/ids.ts';
import { pack, unpack } from '../../../runtime/store/encoding.ts';
import type { Row } from '../../../runtime/store/store.ts';

const test = suite('actors/router/rows');

const ENVELOPE = '01MCC5RQ6SDN2NWHH8Z7RZP6Q8' as EnvelopeId;

const text = fc.oneof(fc.constant(''), fc.string());
const inboxRow: fc.Arbitrary<InboxRow> = fc.record({
  v: fc.constant(1 as const),
  event: fc.record({
    envelopeId: fc.constant(ENVELOPE),
    connectorId: text,
    conversationId: text,
    threadId: text,
    senderId: text,
    senderDisplay: text,
    senderVerified: fc.boolean(),
    body: text,
    adapterMessageId: text,
    receivedAtMs: fc.nat(),
    isDirectMessage: fc.boolean(),
    requestedBroadcast: fc.boolean(),
    attachments: fc.constantFrom([], [{ kind: 'image' }] as never[]),
  }),
  replyTo: fc.option(fc.record({ connectorId: text, conversationId: text, threadId: text })),
  responsePrefix: text,
  trace: text,
  attempts: fc.nat(3),
  crashes: fc.nat(3),
  processEnds: fc.nat(3),
});

test('whatever of it is usual, it is read as it was; so is one that has all of its fields', () => {
  fc.assert(
    fc.property(inboxRow, (drawn) => {
      // As plain objects: those drawn may have no prototype.
      const row = structuredClone(drawn);
      for (const written of [writtenInbox(row), row]) {
        const stored = { revision: 7, row: unpack(pack(written)) as Row };
        assert.equal(parseInboxRow(stored, ENVELOPE), { revision: 7, row });
      }
    }),
  );
});

test('a row that is none is refused', () => {
  const event = { connectorId: 'echo:default', body: '' };
  const rows = [
    { v: 2, event, trace: '' },
    { v: 1, trace: '' },
    { v: 1, event: null, trace: '' },
    { v: 1, event: { body: '' }, trace: '' },
    { v: 1, event },
    { v: 1, event, trace: '', attempts: 'many' },
  ];
  assert.is(parseInboxRow({ revision: 1, row: { v: 1, event, trace: '' } }, ENVELOPE).revision, 1);
  for (const row of rows as Row[]) {
    assert.throws(() => parseInboxRow({ revision: 1, row }, ENVELOPE), /cannot be read/);
  }
});

test.run();
