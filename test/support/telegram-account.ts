/** A gateway with one Telegram account whose token stands in a file. */
import type { ConfigTable } from '../../cli/gateway.ts';
import type { TelegramFake } from '../../connectors/fakes/telegram/index.ts';

/** Every private chat is answered. */
export function telegramAccount(fake: TelegramFake, tokenFile: string): ConfigTable {
  const connector = {
    id: 'telegram:main',
    kind: 'telegram',
    token_ref: `file:${tokenFile}`,
    api_root: fake.url,
    poll_timeout_s: 1,
  };
  const rule = {
    channel: 'telegram:main',
    enabled: true,
    allow_direct_messages: true,
    direct_message_policy: 'allow',
  };
  return {
    http: { listen: '127.0.0.1:0' },
    connectors: [connector],
    channel_router: { enabled: true, routing: { channels: [rule] } },
  };
}
