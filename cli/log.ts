/** The log: JSON lines on stderr, usable in every thread, with whatever looks like a secret taken out. It keeps and rotates nothing. */
import type { Writable } from 'node:stream';
import { pino } from 'pino';
import { limitRepeats } from './log-limit.ts';
import { createLogSink } from './log-sink.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One line. It never throws: a log that cannot be written is no reason to stop. */
export type Log = (
  level: LogLevel,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

export interface LogOptions {
  readonly level: LogLevel;
  /** Stands in every line, e.g. `main` or `pool-0`. */
  readonly thread: string;
  /** Where the lines go, e.g. `process.stderr`; its errors are the caller's to listen to. */
  readonly stream: Writable;
}

export interface OpenLog {
  readonly log: Log;
  /** Says now what a storm of equal lines left out. */
  sayLeftOut(): void;
  /** undefined when every line has left; else settles when they have, at the latest after `deadlineMs`. */
  flushed(deadlineMs: number): Promise<void> | undefined;
}

/** A line never waits for its reader: what a full buffer and a storm of equal lines cost is bounded, and counted in a line. */
export function openLog({ level, thread, stream }: LogOptions): OpenLog {
  const sink = createLogSink(stream, (dropped) => {
    logger.warn({ dropped }, 'log lines were dropped since the start: their reader was too slow');
  });
  const logger = pino(
    {
      level,
      base: { thread },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  const limited = limitRepeats((lineLevel, message, fields) =>
    logger[lineLevel](redactFields(fields ?? {}), redactText(message)),
  );
  return {
    log(lineLevel, message, fields) {
      if (logger.isLevelEnabled(lineLevel)) limited.log(lineLevel, message, fields);
    },
    sayLeftOut: limited.sayLeftOut,
    flushed: sink.flushed,
  };
}

const TEXT_LIMIT_CHARACTERS = 4_000;
const DEPTH_LIMIT = 4;
const ENTRIES_LIMIT = 64;
const RESERVED = new Set(['level', 'time', 'thread', 'message']);
const SECRET_NAME = /token|secret|password|credential|authorization|cookie|signature|api_?key/i;
/** `token_ref` names a place, not a secret. */
const REFERENCE_NAME = /refs?$/i;
const SECRET_SHAPES: readonly RegExp[] = [
  /whsec_[A-Za-z0-9+/=_-]+/g,
  /\bbearer\s+[^\s"']+/gi,
  /\bv1a?,[A-Za-z0-9+/=]{16,}/g,
  /\d{5,}:[A-Za-z0-9_-]{30,}/g,
  /\b(?:sk|xoxb|xoxp|xapp)-[A-Za-z0-9-]{8,}/g,
  /(?<=:\/\/)[^\s/@:]+:[^\s/@]+(?=@)/g,
];

/** A line's fields without secrets, cycles and endless values; names that the line itself uses get a `_` behind. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields)
      .slice(0, ENTRIES_LIMIT)
      .map(([name, value]) => [RESERVED.has(name) ? `${name}_` : name, redact(name, value, 1)]),
  );
}

/** A text with everything that has the shape of a known secret replaced. */
export function redactText(text: string): string {
  // Redacted before it is cut: half a secret would not have its shape any more.
  const bounded = text.slice(0, 2 * TEXT_LIMIT_CHARACTERS);
  const clean = SECRET_SHAPES.reduce((rest, shape) => rest.replace(shape, '[redacted]'), bounded);
  return clean.length > TEXT_LIMIT_CHARACTERS ? `${clean.slice(0, TEXT_LIMIT_CHARACTERS)}…` : clean;
}

function redact(name: string, value: unknown, depth: number): unknown {
  if (SECRET_NAME.test(name) && !REFERENCE_NAME.test(name)) {
    const isHarmless = typeof value === 'number' || typeof value === 'boolean' || value === '';
    return isHarmless ? value : '[redacted]';
  }
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEPTH_LIMIT) return '[deeper]';
  if (value instanceof Error) return errorFields(value, depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) {
    return value.slice(0, ENTRIES_LIMIT).map((entry) => redact('', entry, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, ENTRIES_LIMIT)
      .map(([key, entry]) => [key, redact(key, entry, depth + 1)]),
  );
}

function errorFields(error: Error, depth: number): Record<string, unknown> {
  return {
    name: error.name,
    ...('code' in error ? { code: redact('', error.code, depth) } : {}),
    message: redactText(error.message),
    stack: redactText(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: redact('', error.cause, depth + 1) }),
  };
}
