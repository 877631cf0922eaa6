/** Spans through `@opentelemetry/api`: one for each handled message and each ask, over threads one trace (W3C `traceparent`). */
import {
  type Context,
  context,
  isSpanContextValid,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { isThenable } from '../deferred.ts';
import { codeOf } from '../errors.ts';
import type { AskEnd } from '../kernel/asks.ts';
import type { Handler } from '../kernel/compiled.ts';
import { pathOf } from '../kernel/ref.ts';
import type { AskRequest } from '../kernel/remotes.ts';
import type { Tracing } from './tracing.ts';

const SCOPE = 'palyra.runtime';
/** W3C Trace Context, version 00. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/**
 * What a thread setup returns as `tracing`. Undefined where no tracer provider is registered in this thread yet: then
 * nothing is paid. A `self.trace` that an actor has set itself and that is no `traceparent` is carried on as it is.
 */
export function openTelemetry(): Tracing | undefined {
  const provider = trace.getTracerProvider();
  const isRegistered =
    !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(SCOPE) !== undefined;
  return isRegistered ? new OpenTelemetry(trace.getTracer(SCOPE)) : undefined;
}

class OpenTelemetry implements Tracing {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  traced(actor: string, kind: string, handler: Handler): Handler {
    const name = `${actor} ${kind}`;
    return (state, payload, self) => {
      const carried = self.trace;
      const parent = parentOf(carried, ROOT_CONTEXT);
      const attributes = { 'palyra.actor': pathOf(self.ref.address), 'palyra.message': kind };
      const span = this.#tracer.startSpan(name, { kind: SpanKind.CONSUMER, attributes }, parent);
      self.trace = traceOf(carried, span);
      try {
        const handle = () => handler(state, payload, self);
        const result = context.with(trace.setSpan(parent, span), handle);
        if (!isThenable(result)) {
          span.end();
          return result;
        }
        result.then(
          () => span.end(),
          (error: unknown) => fail(span, codeOf(error)),
        );
        return result;
      } catch (error) {
        fail(span, codeOf(error));
        throw error;
      }
    };
  }

  ask(request: AskRequest, end: AskEnd, send: (request: AskRequest, end: AskEnd) => void): void {
    const { ref, kind, trace: carried, from } = request;
    const around = from === undefined ? context.active() : ROOT_CONTEXT;
    const attributes = { 'palyra.actor': pathOf(ref.address), 'palyra.message': kind };
    const options = { kind: SpanKind.CLIENT, attributes };
    const span = this.#tracer.startSpan(`ask ${kind}`, options, parentOf(carried, around));
    send(
      { ...request, trace: traceOf(carried, span) },
      {
        replied: (value) => {
          span.end();
          end.replied(value);
        },
        failed: (error) => {
          fail(span, error.code);
          end.failed(error);
        },
      },
    );
  }

  current(): string | undefined {
    const span = trace.getActiveSpan();
    return span === undefined ? undefined : traceOf(undefined, span);
  }
}

/** Its code only: what an error says may be secret. */
function fail(span: Span, code: string): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  span.end();
}

function parentOf(carried: string | undefined, around: Context): Context {
  const remote = carried === undefined ? undefined : parseTraceparent(carried);
  return remote === undefined ? around : trace.setSpanContext(ROOT_CONTEXT, remote);
}

/** What goes on: the span's, unless somebody's own word is carried. */
function traceOf(carried: string | undefined, span: Span): string | undefined {
  if (carried !== undefined && parseTraceparent(carried) === undefined) return carried;
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function parseTraceparent(text: string): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(text) ?? [];
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(found) ? found : undefined;
}
