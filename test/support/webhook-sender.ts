/** An outside sender of webhooks: signs with the reference library of Standard Webhooks and posts over HTTP. */
import { Webhook } from 'standardwebhooks';

/** `whsec_` and 24 bytes. */
export const TEST_SECRET = `whsec_${Buffer.from('a secret of twenty-four b').subarray(0, 24).toString('base64')}`;

export interface Posted {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly retryAfter: string;
}

export interface Post {
  readonly url: string;
  readonly integrationId: string;
  readonly webhookId: string;
  readonly payload: unknown;
  readonly secret?: string;
  readonly at?: Date;
  /** Replaces or, as '', leaves out what the library signed. */
  readonly headers?: Readonly<Record<string, string>>;
}

export async function postWebhook(post: Post): Promise<Posted> {
  const { url, integrationId, webhookId, payload, secret = TEST_SECRET, at = new Date() } = post;
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const headers = Object.fromEntries(
    Object.entries({
      'content-type': 'application/json',
      'webhook-id': webhookId,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret).sign(webhookId, at, body),
      ...post.headers,
    }).filter(([, value]) => value !== ''),
  );
  const response = await fetch(`${url}/hooks/v1/${integrationId}`, {
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(20_000),
  });
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    retryAfter: response.headers.get('retry-after') ?? '',
  };
}
