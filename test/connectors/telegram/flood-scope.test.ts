/** Whose limit a 429 tells of: the chat's that was refused alone, or the bot's. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FloodScope } from '../../../connectors/telegram/flood-scope.ts';

const test = suite('telegram flood scope');

test('a chat that is refused alone, also twice, has met its own limit', () => {
  const flood = new FloodScope();
  assert.equal(flood.refused('1', 4_000, 0), { scope: 'conversation', retryAfterMs: 4_000 });
  assert.equal(flood.refused('1', 9_000, 1_000), { scope: 'conversation', retryAfterMs: 9_000 });
});

test('a second chat that is refused meanwhile rests the bot until the later of the two ends', () => {
  for (const [askedMs, restMs] of [
    [1_000, 3_000],
    [7_000, 7_000],
  ] as const) {
    const flood = new FloodScope();
    flood.refused('1', 4_000, 0);
    const second = flood.refused('2', askedMs, 1_000);
    assert.equal(second, { scope: 'account', retryAfterMs: restMs });
  }
});

test('while the bot rests each refusal is the bot’s, also one of a chat that was refused before', () => {
  const flood = new FloodScope();
  flood.refused('1', 4_000, 0);
  flood.refused('2', 4_000, 0);
  for (const chat of ['1', '2', '3']) {
    assert.equal(flood.refused(chat, 1_000, 1_000), { scope: 'account', retryAfterMs: 3_000 });
  }
  assert.is(flood.refused('4', 1_000, 4_000).scope, 'conversation', 'it was over');
});

test('a second chat that is refused after the first one’s pause has met its own limit', () => {
  const flood = new FloodScope();
  flood.refused('1', 4_000, 0);
  assert.is(flood.refused('2', 4_000, 4_000).scope, 'conversation');
});

test('a send that begins after a refusal and is taken shows that the bot is not limited', () => {
  const flood = new FloodScope();
  flood.refused('1', 40_000, 0);
  flood.taken(flood.begin());
  assert.is(flood.refused('2', 40_000, 1_000).scope, 'conversation');
  assert.is(flood.refused('3', 40_000, 2_000).scope, 'account');
});

test('a send that began before the refusal shows nothing', () => {
  const flood = new FloodScope();
  const before = flood.begin();
  flood.refused('1', 4_000, 0);
  flood.taken(before);
  assert.is(flood.refused('2', 4_000, 0).scope, 'account');
});

test('a wall clock that is set back makes no pause longer than it was asked for', () => {
  const flood = new FloodScope();
  flood.refused('1', 4_000, 3_600_000);
  assert.equal(flood.refused('2', 1_000, 0), { scope: 'account', retryAfterMs: 4_000 });
});

test('a chat’s pause is its own until its end, whatever is taken elsewhere', () => {
  const flood = new FloodScope();
  flood.refused('1', 4_000, 0);
  flood.taken(flood.begin());
  assert.equal(flood.left('1', 1_000), { scope: 'conversation', retryAfterMs: 3_000 });
  assert.is(flood.left('2', 1_000), undefined);
  assert.is(flood.left('1', 4_000), undefined);
});

test('a chat’s pause is the newest that was asked for', () => {
  const flood = new FloodScope();
  flood.refused('1', 4_000, 0);
  flood.refused('1', 9_000, 1_000);
  assert.equal(flood.left('1', 5_000), { scope: 'conversation', retryAfterMs: 5_000 });
});

test('while the bot rests a chat that was refused has the bot’s pause, and no other chat is held', () => {
  const flood = new FloodScope();
  flood.refused('1', 9_000, 0);
  flood.refused('2', 4_000, 1_000);
  for (const chat of ['1', '2']) {
    assert.equal(flood.left(chat, 2_000), { scope: 'account', retryAfterMs: 7_000 });
  }
  assert.is(flood.left('3', 2_000), undefined);
});

test('a wall clock that is set back to before a chat’s pause ends that', () => {
  const flood = new FloodScope();
  flood.refused('1', 4_000, 3_600_000);
  assert.is(flood.left('1', 0), undefined);
});

test('the pauses of a thousand chats are kept', () => {
  const flood = new FloodScope();
  for (let chat = 0; chat <= 1_000; chat += 1) flood.refused(String(chat), 4_000, 0);
  assert.is(flood.left('0', 1), undefined);
  assert.is(flood.left('1', 1)?.retryAfterMs, 3_999);
});

test.run();
