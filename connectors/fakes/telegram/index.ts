/** A local Bot API server for tests and demonstrations. */
export type { AcceptedMessage, BotState, PushedMessage } from './bot-state.ts';
export type { TelegramFault } from './faults.ts';
export {
  DEFAULT_TOKEN,
  type FakeCall,
  startTelegramFake,
  type TelegramFake,
  type TelegramFakeOptions,
} from './server.ts';
