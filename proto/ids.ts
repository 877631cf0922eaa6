/** Branded ids and the only functions that make them. Canonical form of a ULID: 26 upper-case Crockford characters. */
import { hash } from 'node:crypto';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type EnvelopeId = Branded<'EnvelopeId'>;
export type RunId = Branded<'RunId'>;
export type DeliveryId = Branded<'DeliveryId'>;
export type ConnectorId = Branded<'ConnectorId'>;
export type IntegrationId = Branded<'IntegrationId'>;
export type SessionKey = Branded<'SessionKey'>;
export type LaneKey = Branded<'LaneKey'>;
export type JobId = Branded<'JobId'>;

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** By the character's code. */
const DIGIT_OF = Uint8Array.from({ length: 128 }, (_, code) =>
  Math.max(0, ALPHABET.indexOf(String.fromCharCode(code))),
);
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const CONNECTOR = /^[a-z][a-z0-9_-]{0,31}:[A-Za-z0-9._-]{1,95}$/;
const CHANNEL_PREFIX = 'channel:';
const INTEGRATION = /^[a-z0-9._-]{1,64}$/;

export interface UlidSource {
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  randomBytes(size: number): Uint8Array;
}

/**
 * A monotonic ULID source (https://github.com/ulid/spec): ids sort in the order they were made, also within one
 * millisecond and when the wall clock steps back. All are of later milliseconds than `afterMs`: with the newest id that
 * an earlier process made durable, the order holds over its end too.
 */
export function createUlids(source: UlidSource, afterMs = -1): () => string {
  let lastMs = -1;
  let time = '';
  /** 16 base-32 digits, counted up within a millisecond. */
  let digits: number[] = [];
  /** All of the id but its last digit, which is what changes from one to the next. */
  let head = '';
  return () => {
    const nowMs = Math.max(Math.trunc(source.wallMs()), afterMs + 1);
    if (nowMs > lastMs) {
      lastMs = nowMs;
      time = encodeTime(nowMs);
      const random = source.randomBytes(10);
      digits = toDigits((at) => random[at] ?? 0);
      // Room to count up: the first digit never begins at its end.
      digits[0] = (digits[0] ?? 0) >> 1;
      head = '';
    } else increment(digits);
    const last = digits[15] ?? 0;
    if (head === '' || last === 0) head = time + encodeDigits(digits.slice(0, 15));
    return head + ALPHABET.charAt(last);
  };
}

export function isUlid(value: string): boolean {
  return ULID.test(value);
}

/** The instant of a ULID, in milliseconds since the Unix epoch. */
export function ulidTimeMs(ulid: string): number {
  let ms = 0;
  for (let i = 0; i < 10; i += 1) ms = ms * 32 + (DIGIT_OF[ulid.charCodeAt(i)] ?? 0);
  return ms;
}

export function parseEnvelopeId(value: string): EnvelopeId | undefined {
  return ULID.test(value) ? (value as EnvelopeId) : undefined;
}

export function createEnvelopeId(next: () => string): EnvelopeId {
  return next() as EnvelopeId;
}

export function createJobId(next: () => string): JobId {
  return next() as JobId;
}

/** The run of an envelope: the same 48 time bits, then 80 bits of SHA-256("run" NUL envelope_id). */
export function runIdOf(envelopeId: EnvelopeId): RunId {
  // One character a byte: a buffer costs as much as the hash.
  const digest = hash('sha256', `run\0${envelopeId}`, 'binary');
  const digits = toDigits((at) => digest.charCodeAt(at));
  return (envelopeId.slice(0, 10) + encodeDigits(digits)) as RunId;
}

/** The n-th delivery of a run. Ids of one run sort by n up to n = 9,999. */
export function deliveryIdOf(runId: RunId, n: number): DeliveryId {
  return `${runId}:${String(n).padStart(4, '0')}` as DeliveryId;
}

/** Connector, conversation and thread: what is kept in order. */
export function laneKeyOf(connectorId: string, conversationId: string, threadId: string): LaneKey {
  return `${connectorId}\0${conversationId}\0${threadId}` as LaneKey;
}

/** `kind:account`; undefined where it is not of that form. */
export function parseConnectorId(value: string): ConnectorId | undefined {
  return CONNECTOR.test(value) ? (value as ConnectorId) : undefined;
}

/** Lower-case letters, digits, `.`, `_`, `-`; 1 to 64. */
export function parseIntegrationId(value: string): IntegrationId | undefined {
  return INTEGRATION.test(value) ? (value as IntegrationId) : undefined;
}

/** `channel:<channel>:conversation:<conversation>` and, when isolated, `:sender:<sender>`; other bytes as `~hh`. */
export function sessionKeyOf(channel: string, conversationId: string, sender = ''): SessionKey {
  const base = `${CHANNEL_PREFIX}${channel}:conversation:${escapeKeyPart(conversationId, 'default')}`;
  return (
    sender === '' ? base : `${base}:sender:${escapeKeyPart(sender, 'unknown')}`
  ) as SessionKey;
}

/** The channel, `kind:account` or `webhook:<integration>`, of a session's key. */
export function channelOf(sessionKey: string): string {
  const account = sessionKey.indexOf(':', CHANNEL_PREFIX.length) + 1;
  return sessionKey.slice(CHANNEL_PREFIX.length, sessionKey.indexOf(':', account));
}

function escapeKeyPart(value: string, blank: string): string {
  if (value.trim() === '') return blank;
  return value.replace(/[^A-Za-z0-9._-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `~${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}

/** 32 hex digits for an event that came without a trace id. Not a secret. */
export function createTraceId(random: () => number): string {
  const bytes = Buffer.allocUnsafe(16);
  for (let at = 0; at < 16; at += 4) bytes.writeUInt32BE(Math.floor(random() * 2 ** 32), at);
  return bytes.toString('hex');
}

function encodeTime(ms: number): string {
  let text = '';
  let rest = ms;
  for (let i = 0; i < 10; i += 1) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** The first 80 bits as 16 digits of five bits. */
function toDigits(byteAt: (at: number) => number): number[] {
  const digits: number[] = [];
  let bits = 0;
  let held = 0;
  for (let i = 0; i < 10; i += 1) {
    bits = ((bits << 8) | byteAt(i)) & 0xfff;
    held += 8;
    while (held >= 5) {
      held -= 5;
      digits.push((bits >> held) & 31);
    }
  }
  return digits;
}

function encodeDigits(digits: readonly number[]): string {
  let text = '';
  for (const digit of digits) text += ALPHABET.charAt(digit);
  return text;
}

function increment(digits: number[]): void {
  for (let i = digits.length - 1; i >= 0; i -= 1) {
    const next = (digits[i] ?? 0) + 1;
    digits[i] = next & 31;
    if (next < 32) return;
  }
}
