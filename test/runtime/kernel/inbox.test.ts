/** When a mailbox has room again, by what did not fit. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Inbox } from '../../../runtime/kernel/inbox.ts';

const test = suite('an inbox');
const KIND = { name: 'take', index: 1, handler: () => undefined };
const LIMITS = { limitMessages: 3, limitBytes: 100, overflow: 'reject' } as const;

function holding(...sizes: readonly number[]): Inbox {
  const inbox = new Inbox();
  for (const bytes of sizes) inbox.put(KIND, null, undefined, bytes);
  return inbox;
}

test('M17 it has room for as many as there are places', () => {
  const inbox = new Inbox();
  assert.is(inbox.room(LIMITS), 3);
  for (const room of [2, 1, 0]) {
    inbox.put(KIND, null, undefined, 10);
    assert.is(inbox.room(LIMITS), room);
  }
  inbox.next();
  assert.is(inbox.room(LIMITS), 1);
});

test('M17 where its bytes are bounded it has room for as many as the largest that came', () => {
  const limits = { ...LIMITS, limitMessages: 100 };
  const inbox = holding(50, 40);
  assert.is(inbox.room(limits), 1, 'a small one');
  inbox.put(KIND, null, undefined, 10);
  assert.is(inbox.room(limits), 0);
  inbox.next();
  assert.is(inbox.room(limits), 1);
  inbox.next();
  inbox.next();
  assert.is(inbox.room(limits), 2);
});

test('M17 after a large one did not fit, it has room when that one would fit', () => {
  const inbox = holding(30, 40, 20);
  inbox.missed(75);
  inbox.next();
  assert.is(inbox.room(LIMITS), 0, '60 wait');
  inbox.next();
  assert.is(inbox.room(LIMITS), 1, '20 wait');
  inbox.put(KIND, null, undefined, 8);
  assert.is(inbox.room(LIMITS), 0, 'it has not come yet, and a small one took its room');
  inbox.next();
  inbox.put(KIND, null, undefined, 75);
  assert.is(inbox.room(LIMITS), 1, 'it has come');
});

test('M17 an empty one has room, whatever did not fit', () => {
  const inbox = holding(60);
  inbox.missed(90);
  inbox.next();
  assert.is(inbox.room(LIMITS), 1);
  inbox.put(KIND, null, undefined, 60);
  assert.is(inbox.room(LIMITS), 1, 'and what did not fit is forgotten');
});

test('M16 what waited before the definition was known is not counted where it bounds no bytes', () => {
  const inbox = holding(60, 8);
  assert.is(inbox.bytes, 68);
  inbox.put(KIND, null, undefined, 0);
  assert.is(inbox.bytes, 0);
  assert.is(inbox.room({ ...LIMITS, limitMessages: 4, limitBytes: 0 }), 1);
  assert.is(inbox.size, 3);
});

test.run();
