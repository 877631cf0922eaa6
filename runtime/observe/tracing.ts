/** Spans around messages and asks, as a kernel wants them made. It knows no telemetry library. */
import type { AskEnd } from '../kernel/asks.ts';
import type { Handler } from '../kernel/compiled.ts';
import type { AskRequest } from '../kernel/remotes.ts';

export interface Tracing {
  /** The handler with a span around each message; its tells and asks carry that span on. */
  traced(actor: string, kind: string, handler: Handler): Handler;
  /** Sends the ask on with a span of its own, which ends with it. */
  ask(request: AskRequest, end: AskEnd, send: (request: AskRequest, end: AskEnd) => void): void;
  /** The trace of what runs now outside of any actor. */
  current(): string | undefined;
}
