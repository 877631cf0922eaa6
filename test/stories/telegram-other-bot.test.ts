/** An account's token is replaced: what another bot's users write is new, and a new token of the same bot changes nothing. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createGateway } from '../../cli/gateway.ts';
import { startTelegramFake } from '../../connectors/fakes/telegram/index.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { telegramAccount } from '../support/telegram-account.ts';
import { within } from '../support/within.ts';

export const deadlineMs = 300_000;

const story = suite('telegram other bot');

const FIRST = `1001:${'A'.repeat(35)}`;
const FIRST_ANEW = `1001:${'C'.repeat(35)}`;
const SECOND = `2002:${'B'.repeat(35)}`;
const DEADLINE_MS = 60_000;

story('the same user’s messages to two bots under one connector id are told apart', async () => {
  const fake = await startTelegramFake({ tokens: [FIRST, FIRST_ANEW, SECOND] });
  await withStateRoot(async (stateRoot) => {
    const tokenFile = join(stateRoot, 'telegram.token');
    /** The user writes to the bot of this token; the answers, once there are so many of this run. */
    const talk = async (token: string, texts: readonly string[], replies: number) => {
      writeFileSync(tokenFile, token, { mode: 0o600 });
      for (const text of texts) fake.pushUpdate({ chatId: 42, text }, token);
      const before = fake.accepted.length;
      const gateway = createGateway({
        config: telegramAccount(fake, tokenFile),
        stateRoot,
        threads: 1,
      });
      try {
        await within('ready', gateway.ready, DEADLINE_MS);
        await fake.waitForAccepted(before + replies, DEADLINE_MS);
        await fake.until('all confirmed', () => fake.bot(token).unconfirmed === 0, DEADLINE_MS);
      } finally {
        await within('the stop', gateway.stop(), DEADLINE_MS);
      }
      return fake.accepted.slice(before).map(({ text }) => text);
    };
    // Each bot numbers its messages anew: the same text, and another under the same number.
    assert.equal(await talk(FIRST, ['/start', 'hello'], 2), ['/start', 'hello']);
    assert.equal(await talk(SECOND, ['/start', 'help me'], 2), ['/start', 'help me']);
    assert.equal(await talk(FIRST_ANEW, ['/start', 'hello', 'new'], 1), ['new'], 'known before');
  }).finally(() => fake.close());
});

story.run();
