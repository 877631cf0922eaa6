/** What others say to a listener. */
import type { WebhookEntry } from '../webhooks/protocol.ts';

export interface HttpListenerProtocol {
  /** Where it listens, e.g. `http://127.0.0.1:7142`. */
  where(nothing: null): { readonly url: string };
  /** The whole table, each time it changes. */
  webhooks(directory: readonly WebhookEntry[]): void;
  /** When it is answered the admin token is the one that stands at its place now, in its file too. */
  refreshToken(nothing: null): { readonly known: boolean };
  /** Drain, phase 0: `/readyz` answers 503, everything is served on. */
  turnUnready(nothing: null): { readonly unready: boolean };
  /** Drain, phase 1: no new connection, no new event. */
  stopListening(nothing: null): { readonly stopped: boolean };
}
