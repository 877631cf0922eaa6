/** A thread setup with a tracer that keeps its ended spans, and the actor that shows those of its thread. */
import { randomBytes } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import {
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { type ActorRef, defineActor } from '../../../runtime/index.ts';
import { openTelemetry } from '../../../runtime/observe/otel.ts';
import type { ThreadWorld } from '../../../runtime/system.ts';

export interface EndedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parent: string;
  readonly failure: string;
  readonly thread: number;
}

export const ended: EndedSpan[] = [];

function startSpan(name: string, _options: SpanOptions, above: SpanContext | undefined): Span {
  const traceId = above?.traceId ?? randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  let failure = '';
  const span: Partial<Span> = {
    spanContext: () => ({ traceId, spanId, traceFlags: 1 }),
    setStatus({ message }) {
      failure = message ?? '';
      return span as Span;
    },
    end() {
      const parent = above?.spanId ?? '';
      ended.push({ name, traceId, spanId, parent, failure, thread: threadId });
    },
  };
  return span as Span;
}

const tracer: Partial<Tracer> = {
  startSpan: (name, options = {}, context) =>
    startSpan(name, options, context === undefined ? undefined : trace.getSpanContext(context)),
};
const provider: TracerProvider = { getTracer: () => tracer as Tracer };

export function tracedSetup(): ThreadWorld {
  trace.setGlobalTracerProvider(provider);
  return { deps: undefined, tracing: openTelemetry() };
}

export interface TracedProtocol {
  relay(to: ActorRef<TracedProtocol>): string;
  leaf(nothing: null): string;
  fails(nothing: null): string;
  spans(nothing: null): readonly EndedSpan[];
}

export const tracedActor = defineActor<TracedProtocol, TracedProtocol, null, null, unknown>({
  module: import.meta.url,
  export: 'tracedActor',
  name: 'traced',
  mailbox: { limitMessages: 100, overflow: 'reject' },
  start: () => null,
  receive: {
    relay: (_state, to, self) => self.ask(to, 'leaf', null, { inMs: 5_000 }),
    leaf: (_state, _nothing, self) => self.trace ?? '',
    fails() {
      throw Object.assign(new Error('a secret'), { code: 'told_to' });
    },
    spans: () => ended,
  },
});
