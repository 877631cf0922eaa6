/** The Telegram connector keeps the connector contract, with the real client library against the fake Bot API. */
import {
  DEFAULT_TOKEN,
  startTelegramFake,
  type TelegramFault,
} from '../../../connectors/fakes/telegram/index.ts';
import { telegramKind } from '../../../connectors/telegram/index.ts';
import { connectorContract } from '../../contracts/connector.contract.ts';

const FAULTS: Readonly<Record<string, TelegramFault>> = {
  rate_limited: { type: 'rate-limit', retryAfterS: 3 },
  transient: { type: 'html', status: 502 },
  auth: { type: 'error', status: 401, description: 'Unauthorized' },
  permanent: { type: 'error', status: 400, description: 'Bad Request: chat not found' },
  unknown: { type: 'drop', accepted: true },
  hang: { type: 'hang', accepted: false },
};

connectorContract('telegram', {
  kind: telegramKind,
  noInbound: '',
  noCredential: '',
  async start() {
    const fake = await startTelegramFake();
    let pushed = 0;
    return {
      credential: DEFAULT_TOKEN,
      options: { api_root: fake.url, poll_timeout_s: 1 },
      conversationId: '42',
      sent: () => fake.accepted.map((message) => message.text),
      arm(outcome) {
        const fault = FAULTS[outcome];
        if (fault !== undefined) fake.script({ method: 'sendMessage', fault });
        return `please ${outcome}`;
      },
      push(text) {
        pushed += 1;
        fake.pushUpdate({ chatId: 42, text });
      },
      confirmed: () => pushed - fake.bot().unconfirmed,
      stop: () => fake.close(),
    };
  },
});
