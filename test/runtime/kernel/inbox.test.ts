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

test('M17 one that lacks places has room when one is free, one that lacks bytes when one byte is', () => {
  const places = holding(10, 10, 10);
  assert.is(places.hasRoomAgain(LIMITS), false);
  places.next();
  assert.is(places.hasRoomAgain(LIMITS), true);
  const bytes = holding(50, 50);
  assert.is(bytes.hasRoomAgain(LIMITS), false);
  bytes.next();
  assert.is(bytes.hasRoomAgain(LIMITS), true);
});

test('M17 after a large one did not fit, it has room when that one would fit', () => {
  const inbox = holding(30, 40, 20);
  inbox.missed(75);
  inbox.next();
  assert.is(inbox.hasRoomAgain(LIMITS), false, '60 wait');
  inbox.next();
  assert.is(inbox.hasRoomAgain(LIMITS), true, '20 wait');
  inbox.put(KIND, null, undefined, 8);
  assert.is(
    inbox.hasRoomAgain(LIMITS),
    false,
    'it has not come yet, and a small one took its room',
  );
  inbox.next();
  inbox.put(KIND, null, undefined, 75);
  assert.is(inbox.hasRoomAgain(LIMITS), true, 'it has come');
});

test('M17 an empty one has room, whatever did not fit', () => {
  const inbox = holding(60);
  inbox.missed(90);
  inbox.next();
  assert.is(inbox.hasRoomAgain(LIMITS), true);
  inbox.put(KIND, null, undefined, 60);
  assert.is(inbox.hasRoomAgain(LIMITS), true, 'and what did not fit is forgotten');
});

test('M16 what waited before the definition was known is not counted where it bounds no bytes', () => {
  const inbox = holding(60, 8);
  assert.is(inbox.bytes, 68);
  inbox.put(KIND, null, undefined, 0);
  assert.is(inbox.bytes, 0);
  assert.is(inbox.hasRoomAgain({ ...LIMITS, limitMessages: 4, limitBytes: 0 }), true);
  assert.is(inbox.size, 3);
});

test.run();
