/**
 * Runs the fake Bot API server as a process of its own: `node main.js [--port N] [--token T]… [--chats 42,43]
 * [--until-stdin-ends]`. Prints one JSON line `{"url":…,"pid":…}` once it listens; ends on SIGTERM or SIGINT.
 */
import { parseArgs } from 'node:util';
import { DEFAULT_TOKEN, startTelegramFake } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    token: { type: 'string', multiple: true, default: [DEFAULT_TOKEN] },
    chats: { type: 'string' },
    'until-stdin-ends': { type: 'boolean', default: false },
  },
});

const fake = await startTelegramFake({
  port: Number(values.port),
  tokens: values.token,
  chats: values.chats === undefined ? 'any' : values.chats.split(','),
});
const end = () => {
  fake.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
};
process.once('SIGTERM', end);
process.once('SIGINT', end);
if (values['until-stdin-ends']) process.stdin.once('end', end).resume();
process.stdout.write(`${JSON.stringify({ url: fake.url, pid: process.pid })}\n`);
