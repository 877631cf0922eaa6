/** The Telegram connector's public face; its client library is loaded by the first `open`, not by this import. */

export { TELEGRAM_ERRORS } from './errors.ts';
export { MESSAGE_LIMIT_UNITS, splitText } from './limits.ts';
export { telegramKind } from './telegram.ts';
