/** What can go wrong with one call to the fake, and how each fault is played on its connection. */
import type { ServerResponse } from 'node:http';
import { answerText } from '../http-exchange.ts';
import { BotRefusal, tooManyRequests } from './bot-refusal.ts';

/**
 * `rate-limit`: 429 with `parameters.retry_after`. `error`: the Bot API's own refusal. `html`: a front end's page.
 * `conflict`: 409 as for a second poller. `garbage`: 200 with a body that is not the Bot API's.
 * `drop`: the connection is cut without an answer; `accepted` says whether the call was carried out before.
 * `hang`: the same, but the connection stays silent. `slow`: carried out at once, answered `ms` later.
 */
export type TelegramFault =
  | { readonly type: 'rate-limit'; readonly retryAfterS: number }
  | { readonly type: 'error'; readonly status: number; readonly description?: string }
  | { readonly type: 'html'; readonly status: number; readonly retryAfterS?: number }
  | { readonly type: 'conflict' }
  | { readonly type: 'garbage' }
  | { readonly type: 'drop'; readonly accepted: boolean }
  | { readonly type: 'hang'; readonly accepted: boolean }
  | { readonly type: 'slow'; readonly ms: number };

const CONFLICT =
  'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running';

/** Whether the call is carried out although it will seem to fail. */
export function isCarriedOut(fault: TelegramFault): boolean {
  if (fault.type === 'drop' || fault.type === 'hang') return fault.accepted;
  return fault.type === 'slow';
}

/** The refusal that a fault is; `undefined` where it is played on the connection instead. */
export function refusalOf(fault: TelegramFault): BotRefusal | undefined {
  switch (fault.type) {
    case 'rate-limit':
      return tooManyRequests(fault.retryAfterS);
    case 'error':
      return new BotRefusal(fault.status, fault.description ?? 'Internal Server Error');
    case 'conflict':
      return new BotRefusal(409, CONFLICT);
    default:
      return undefined;
  }
}

/** Plays what is left of a fault; false: answer as usual now. */
export async function playOnConnection(
  fault: TelegramFault,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<boolean> {
  switch (fault.type) {
    case 'html': {
      const retry =
        fault.retryAfterS === undefined ? {} : { 'retry-after': `${fault.retryAfterS}` };
      const page = `<html><head><title>${fault.status}</title></head><body>nginx</body></html>\r\n`;
      answerText(response, fault.status, page, { 'content-type': 'text/html', ...retry });
      return true;
    }
    case 'garbage':
      answerText(response, 200, 'welcome to the hotel network', { 'content-type': 'text/plain' });
      return true;
    case 'drop':
      response.socket?.resetAndDestroy();
      return true;
    case 'hang':
      await wait(Number.POSITIVE_INFINITY, gone);
      return true;
    case 'slow':
      await wait(fault.ms, gone);
      return false;
    default:
      return false;
  }
}

/** Ends early when the client is gone. */
function wait(ms: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted) {
      resolve();
      return;
    }
    const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined;
    gone.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
