/** The peer of `webhook-to-reply`: the same verification and the same client library, nothing durable, nothing in order. */
import { Bot } from 'grammy';
import { serveVerified } from './verified-server.ts';

const bot = new Bot(String(process.env.TELEGRAM_TOKEN), {
  client: { apiRoot: String(process.env.API_ROOT) },
});

serveVerified(({ body, url, accept }) => {
  const { text } = JSON.parse(body.toString()) as { text: string };
  accept();
  const chat = Number(url.split('-').at(-1)) + 1_000;
  bot.api.sendMessage(chat, text).catch((error: unknown) => console.error(error));
});
process.once('SIGTERM', () => process.exit(0));
