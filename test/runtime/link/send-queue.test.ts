/** What waits to leave over a link: its order, its bounds, and what ends a frame. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { READY } from '../../../runtime/kernel/room-line.ts';
import { SendQueue } from '../../../runtime/link/send-queue.ts';
import { randomFrom } from '../../../runtime/testing/index.ts';
import { pack, transfer } from '../../../runtime/transfer.ts';

const test = suite('send queue');

function parcel(bytes: number): unknown {
  return pack({ memory: transfer(new ArrayBuffer(bytes)) });
}

test('messages leave in the order of coming, however many are taken at once', () => {
  const random = randomFrom(7);
  const queue = new SendQueue();
  let [pushed, taken] = [0, 0];
  for (let step = 0; step < 4_000; step += 1) {
    for (let left = Math.trunc(random() * 300); left > 0; left -= 1) {
      if (queue.refuses('k', pushed)) break;
      queue.push(1, 0, pushed);
      pushed += 1;
    }
    for (let left = Math.trunc(random() * 4); left > 0 && queue.length > 0; left -= 1) {
      const count = 1 + Math.trunc(random() * 256);
      const triples = queue.take(count);
      assert.ok(triples.length >= 3 && triples.length <= count * 3);
      for (let i = 0; i < triples.length; i += 3) {
        assert.is(triples[i], 1);
        assert.is(triples[i + 2], taken);
        taken += 1;
      }
    }
    assert.is(queue.length, pushed - taken);
  }
  assert.ok(taken > 100_000, `${taken} were taken`);
  const rest = queue.takeAll();
  assert.is(rest.length, (pushed - taken) * 3);
  assert.is(rest[2] ?? taken, taken);
  assert.is(queue.length, 0);
  assert.equal(queue.take(5), []);
});

test('a full queue refuses tells, and lets some wait for room behind them', () => {
  const queue = new SendQueue();
  let pushed = 0;
  for (; !queue.refuses('k', 0); pushed += 1) queue.push(1, 0, 0);
  assert.is(pushed, 8_192);
  for (; !queue.refuses(READY, 0); pushed += 1) queue.push(1, 0, 0);
  assert.is(pushed, 9_216);
  queue.take(256);
  assert.not(queue.refuses(READY, 0));
  assert.ok(queue.refuses('k', 0));
});

test('a message that takes memory along ends its frame, and frees its bytes', () => {
  const queue = new SendQueue();
  const large = parcel(8 * 1_024 * 1_024);
  for (let i = 0; i < 300; i += 1) queue.push(1, 0, i === 3 || i === 280 ? parcel(10) : i);
  assert.ok(queue.refuses('k', large));
  assert.is(queue.take(256).length, 4 * 3);
  assert.ok(queue.refuses('k', large), 'the second one waits still');
  let left = queue.length;
  while (left > 19) {
    queue.take(256);
    left = queue.length;
  }
  assert.is(left, 19, 'the second one was the last of its frame');
  assert.not(queue.refuses('k', large));
});

test.run();
