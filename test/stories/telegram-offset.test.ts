/** When an update of Telegram is confirmed: its offset is asked for when the message is durable, and not before. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createGateway } from '../../cli/gateway.ts';
import { DEFAULT_TOKEN, startTelegramFake } from '../../connectors/fakes/telegram/index.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { holdPool } from '../support/held-pool.ts';
import { telegramAccount } from '../support/telegram-account.ts';
import { until, within } from '../support/within.ts';

const story = suite('telegram offset');

/** How long the commit is seen on its way: what did not wait for it has long been said. */
const HELD_S = 1;
const DEADLINE_MS = 60_000;

/** Seconds that the commit under way has been there; 0 for none. */
async function commitAgeS(http: string): Promise<number> {
  const metrics = await (await fetch(`${http}/metrics`)).text();
  return Number(/^palyra_ledger_commit_age_seconds (\S+)$/m.exec(metrics)?.[1]);
}

story(
  'an update is confirmed after the commit of its message, not while it is on its way',
  async () => {
    const fake = await startTelegramFake();
    await withStateRoot(async (stateRoot) => {
      const tokenFile = join(stateRoot, 'telegram.token');
      writeFileSync(tokenFile, DEFAULT_TOKEN, { mode: 0o600 });
      const gateway = createGateway({
        config: telegramAccount(fake, tokenFile),
        stateRoot,
        threads: 1,
      });
      let pool: ReturnType<typeof holdPool> | undefined;
      try {
        const { http } = await within('ready', gateway.ready, DEADLINE_MS);
        await until(
          'it polls, and nothing is on its way to the disk',
          async () => {
            return fake.bot().isPolling && (await commitAgeS(http)) === 0;
          },
          DEADLINE_MS,
        );
        pool = holdPool(join(stateRoot, 'held'));
        const { updateId, messageId } = fake.pushUpdate({ chatId: 42, text: 'hello there' });
        const isConfirmed = () =>
          fake.calls.some(
            ({ method, parameters }) =>
              method === 'getUpdates' && Number(parameters.offset) > updateId,
          );
        const accepted = async () => {
          const { entries } = await gateway.call('journal.read', { tail: true, limit: 500 });
          return entries
            .flatMap(({ facts }) => facts)
            .some(
              ({ type, nativeId }) =>
                type === 'message.accepted' && String(nativeId).endsWith(`:42:${messageId}`),
            );
        };
        await until(
          'the message is on its way to the disk',
          async () => (await commitAgeS(http)) >= HELD_S,
          DEADLINE_MS,
        );
        assert.is(isConfirmed(), false, 'confirmed before the commit was durable');
        assert.is(fake.accepted.length, 0, 'nor is anything answered');
        await pool.letGo();
        pool = undefined;
        await fake.until('the offset behind the update is asked for', isConfirmed, DEADLINE_MS);
        assert.is(await accepted(), true);
        const [reply] = await fake.waitForAccepted(1, DEADLINE_MS);
        assert.equal([reply?.chatId, reply?.text], ['42', 'hello there']);
      } finally {
        await pool?.letGo();
        await within('the stop', gateway.stop(), DEADLINE_MS);
      }
    }).finally(() => fake.close());
  },
);

story.run();
