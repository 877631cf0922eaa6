/** What others say to a listener. */
import type { WebhookEntry } from '../webhooks/protocol.ts';

export interface HttpListenerProtocol {
  /** Where it listens, e.g. `http://127.0.0.1:7142`. */
  where(nothing: null): { readonly url: string };
  /** The whole table, each time it changes. */
  webhooks(directory: readonly WebhookEntry[]): void;
  /** Drain, phases 0 and 1: unready, and no new connection. */
  stopListening(nothing: null): { readonly stopped: boolean };
}
