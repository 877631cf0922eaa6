/** A thousand webhooks into ten conversations: all answered, all delivered, in order. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LANES, postOrder, withWorld } from '../support/orders-world.ts';

const story = suite('a thousand webhooks');

story('1,000 webhooks are answered, each conversation in its own order, each once', () =>
  withWorld(async ({ fake, start }) => {
    const gateway = await start();
    const perLane = 100;
    const lanes = Array.from({ length: LANES }, async (_, lane) => {
      for (let n = 0; n < perLane; n += 1) {
        const answer = await postOrder(gateway, n, lane);
        assert.is(answer.status, 202);
      }
    });
    await Promise.all(lanes);
    await fake.waitForAccepted(LANES * perLane, 100_000);
    const expected = Array.from({ length: perLane }, (_, n) => `order ${n}`);
    for (let lane = 0; lane < LANES; lane += 1) {
      const texts = fake.accepted.filter((m) => m.chatId === String(100 + lane)).map((m) => m.text);
      assert.equal(texts, expected);
    }
    await gateway.stop();
  }),
);

story.run();
