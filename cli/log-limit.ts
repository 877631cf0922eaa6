/** Bounds what a storm of equal lines costs: a token bucket for each kind of line. It counts what it leaves out, and says so. */
import type { Log, LogLevel } from './log.ts';

export interface LimitedLog {
  readonly log: Log;
  /** Says now what was left out since it was last said; it does so by itself every 10 s. */
  sayLeftOut(): void;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
  leftOut: number;
  level: LogLevel;
}

const BURST_LINES = 100;
const LINES_PER_SECOND = 10;
/** Messages are few and fixed; beyond this all others share one bucket. */
const KINDS_LIMIT = 256;
const SAY_EVERY_MS = 10_000;

/** Lines are of one kind where message and `code` are the same. Each kind has 100 lines at once and 10 a second. */
export function limitRepeats(log: Log, nowMs: () => number = () => performance.now()): LimitedLog {
  const buckets = new Map<string, Bucket>();
  let saying: NodeJS.Timeout | undefined;
  const sayLeftOut = (): void => {
    clearTimeout(saying);
    saying = undefined;
    for (const [line, bucket] of buckets) {
      const { leftOut, level } = bucket;
      if (leftOut === 0) continue;
      bucket.leftOut = 0;
      log(level, 'lines of one kind were left out: they came too fast', { line, leftOut });
    }
  };
  return {
    sayLeftOut,
    log(level, message, fields) {
      const bucket = bucketOf(buckets, kindOf(message, fields), nowMs());
      if (bucket.tokens >= 1) {
        bucket.tokens -= 1;
        log(level, message, fields);
        return;
      }
      bucket.leftOut += 1;
      bucket.level = level;
      saying ??= setTimeout(sayLeftOut, SAY_EVERY_MS).unref();
    },
  };
}

function kindOf(message: string, fields: Readonly<Record<string, unknown>> | undefined): string {
  const code = fields?.code;
  return typeof code === 'string' ? `${message} (${code})` : message;
}

function bucketOf(buckets: Map<string, Bucket>, kind: string, atMs: number): Bucket {
  const found = buckets.get(kind);
  if (found !== undefined) {
    const earned = ((atMs - found.filledAtMs) / 1_000) * LINES_PER_SECOND;
    found.tokens = Math.min(BURST_LINES, found.tokens + earned);
    found.filledAtMs = atMs;
    return found;
  }
  if (buckets.size >= KINDS_LIMIT) removeIdle(buckets, atMs);
  if (buckets.size >= KINDS_LIMIT && kind !== OTHERS) return bucketOf(buckets, OTHERS, atMs);
  const bucket: Bucket = { tokens: BURST_LINES, filledAtMs: atMs, leftOut: 0, level: 'info' };
  buckets.set(kind, bucket);
  return bucket;
}

const OTHERS = 'other lines';

/** A bucket that would be full by now says no more than none. */
function removeIdle(buckets: Map<string, Bucket>, atMs: number): void {
  const fullAfterMs = (BURST_LINES / LINES_PER_SECOND) * 1_000;
  for (const [kind, { filledAtMs, leftOut }] of buckets) {
    if (leftOut === 0 && atMs - filledAtMs >= fullAfterMs) buckets.delete(kind);
  }
}
