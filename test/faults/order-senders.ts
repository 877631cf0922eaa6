/** Senders of orders that do what outside senders do: they try again, with the same id, until they are told that it was taken. */
import type { GatewayProcess } from '../support/gateway-process.ts';
import { type Posted, postWebhook } from '../support/webhook-sender.ts';
import type { Random } from './seeded.ts';

export interface Acknowledged {
  readonly lane: number;
  readonly webhookId: string;
  readonly text: string;
}

export interface OrderSenders {
  /** In the order of their acknowledgement. */
  readonly acknowledged: readonly Acknowledged[];
  /** What no sender may see: an answer of another kind, an id accepted twice. */
  readonly problems: readonly string[];
  /** Answers by status and code; `cut` where the connection was. */
  readonly answers: Readonly<Record<string, number>>;
  /** From now on they post there; undefined: nowhere. */
  pointTo(gateway: Pick<GatewayProcess, 'url'> | undefined): void;
  /** Settles when each has finished the order that it is at, which needs a gateway. */
  finish(): Promise<void>;
  /** Ends them where they stand. */
  abandon(): void;
}

export interface OrderSendersOptions {
  readonly lanes: number;
  readonly random: Random;
  /** Longest pause between two orders of a lane. */
  readonly pauseMs: number;
  /** Bytes that are added to each text. */
  readonly padBytes?: number;
}

const PAD = 'x';

/** One sender a lane; it sends its orders one after the other, so that their order is known. */
export function startOrderSenders(options: OrderSendersOptions): OrderSenders {
  const { lanes, random, pauseMs, padBytes = 0 } = options;
  const acknowledged: Acknowledged[] = [];
  const problems: string[] = [];
  const answers: Record<string, number> = {};
  let url: string | undefined;
  let isFinishing = false;
  let isAbandoned = false;

  const count = (name: string) => {
    answers[name] = (answers[name] ?? 0) + 1;
  };

  const attempt = async (order: Acknowledged, at: string): Promise<Posted | undefined> => {
    const { lane, webhookId, text } = order;
    const integrationId = `orders-${lane}`;
    try {
      const answer = await postWebhook({ url: at, integrationId, webhookId, payload: { text } });
      count(answer.status < 300 ? String(answer.status) : `${answer.status} ${answer.body.code}`);
      return answer;
    } catch {
      // Killed while it was asked: nobody knows what came of it, so it is asked again.
      count('cut');
      return undefined;
    }
  };

  const send = async (order: Acknowledged): Promise<void> => {
    let accepted = 0;
    let tried = 0;
    while (!isAbandoned) {
      const at = url;
      if (at === undefined) {
        await pause(20);
        continue;
      }
      const copies = random() < 0.1 ? 2 : 1;
      const posted = await Promise.all(Array.from({ length: copies }, () => attempt(order, at)));
      tried += copies;
      for (const answer of posted) {
        if (answer?.status === 202) accepted += 1;
        else if (answer?.status === 200 && tried === 1)
          problems.push(`${order.webhookId}: a duplicate of nothing`);
        else if (answer !== undefined && ![200, 429, 503].includes(answer.status))
          problems.push(`${order.webhookId}: ${answer.status} ${JSON.stringify(answer.body)}`);
      }
      if (accepted > 1) problems.push(`${order.webhookId}: accepted ${accepted} times`);
      if (posted.some((answer) => answer?.status === 202 || answer?.status === 200)) {
        acknowledged.push(order);
        return;
      }
      await pause(50);
    }
  };

  const run = async (lane: number): Promise<void> => {
    for (let n = 0; !isFinishing; n += 1) {
      const text = `order ${lane}/${n}${padBytes === 0 ? '' : ` ${PAD.repeat(padBytes)}`}`;
      await send({ lane, webhookId: `order-${lane}-${n}`, text });
      await pause(random() * pauseMs);
    }
  };

  const running = Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)));
  return {
    acknowledged,
    problems,
    answers,
    pointTo(gateway) {
      url = gateway?.url;
    },
    async finish() {
      isFinishing = true;
      await running;
    },
    abandon() {
      isFinishing = true;
      isAbandoned = true;
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
