/** Prepared webhook requests, signed as Standard Webhooks asks. */
import { parseSecret, signMessage } from '../../actors/webhooks/standard-webhooks.ts';

export const BENCH_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const KEY = parseSecret(BENCH_SECRET) ?? Buffer.alloc(0);

export interface SignedWebhook {
  readonly host: string;
  readonly path: string;
  readonly id: string;
  readonly payload: unknown;
}

export function signedRequest({ host, path, id, payload }: SignedWebhook): Buffer {
  const body = Buffer.from(JSON.stringify(payload));
  const webhookTimestamp = String(Math.floor(Date.now() / 1_000));
  const signature = signMessage(KEY, { webhookId: id, webhookTimestamp, body });
  const head =
    `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n` +
    `webhook-id: ${id}\r\nwebhook-timestamp: ${webhookTimestamp}\r\nwebhook-signature: ${signature}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}
