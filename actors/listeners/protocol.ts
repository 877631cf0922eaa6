/** What others say to a listener. */
import type { WebhookEntry } from '../webhooks/protocol.ts';

export interface HttpListenerProtocol {
  /** Where it listens, e.g. `http://127.0.0.1:7142`. */
  where(nothing: null): { readonly url: string };
  /** The whole table, each time it changes. */
  webhooks(directory: readonly WebhookEntry[]): void;
  /** The admin token was put into the vault: valid, the one before not any more, and in its file when this is answered. */
  tokenPut(request: { readonly secret: string }): { readonly known: boolean };
  /** Drain, phase 0: `/readyz` answers 503, everything is served on. */
  turnUnready(nothing: null): { readonly unready: boolean };
  /** Drain, phase 1: no new connection, no new event. */
  stopListening(nothing: null): { readonly stopped: boolean };
}
