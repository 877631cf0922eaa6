/** The system calls of a writing store: nothing is written over, and nothing acknowledged, before what it stands on is flushed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { skipTest } from '../support/skip.ts';
import { callsOf, type SystemCall, whyNoTrace } from './system-calls.ts';

const test = suite('the store flushes');

const WRITER = new URL('./store-writer.js', import.meta.url).pathname;
const BATCHES = 60;
/** A batch fills a log file of the writer: each append but the first two writes one again. */
const ROW_BYTES = 5_000;
const META_PAGES_END = 8_192;

interface Write extends SystemCall {
  readonly path: string;
  /** Its place in the file; -1 where the call does not say. */
  readonly at: number;
  /** It returns when it is on the medium. */
  readonly isDurable: boolean;
}

interface Trace {
  readonly writes: readonly Write[];
  /** Of files and directories. */
  readonly flushes: readonly (SystemCall & { readonly path: string })[];
  readonly created: readonly (SystemCall & { readonly path: string })[];
}

/** Reads the calls of a trace with paths (`strace -y`) that succeeded. */
function readTrace(lines: readonly string[]): Trace {
  const durable = new Set<string>();
  const trace = { writes: [] as Write[], flushes: [] as Trace['flushes'][number][] };
  const created: Trace['created'][number][] = [];
  for (const call of callsOf(lines)) {
    const { text } = call;
    const opened = /\bopenat\(.*?, "[^"]*", ([A-Z_|]+).* = (\d+<([^>]*)>)$/.exec(text);
    if (opened !== null) {
      const [, flags = '', file = '', path = ''] = opened;
      if (flags.includes('O_DSYNC')) durable.add(file);
      else durable.delete(file);
      if (flags.includes('O_CREAT')) created.push({ ...call, path });
    }
    const made = /\bmkdir\("([^"]*)".* = 0$/.exec(text)?.[1];
    if (made !== undefined) created.push({ ...call, path: made });
    const flushed = /\bf(?:data)?sync\(\d+<([^>]*)>\) *= 0$/.exec(text)?.[1];
    if (flushed !== undefined) trace.flushes.push({ ...call, path: flushed });
    const written = /\bp?writev?(?:64|2)?\((\d+<([^>]*)>), .*?(?:, (\d+))?\) *= [1-9]\d*$/.exec(
      text,
    );
    if (written === null) continue;
    const [, file = '', path = '', last] = written;
    const isPlaced = /\bpwrite/.test(text);
    const at = isPlaced ? Number(last) : -1;
    trace.writes.push({ ...call, path, at, isDurable: durable.has(file) });
  }
  return { ...trace, created };
}

/** The line at which it was on the medium; Infinity for never. */
function durableAt({ flushes }: Trace, { path, to, isDurable }: Write): number {
  if (isDurable) return to;
  const ends = flushes.filter((flush) => flush.path === path && flush.from > to);
  return Math.min(...ends.map((flush) => flush.to));
}

/** Whether a transaction began behind the one line and was on the medium, its pages before its meta page, before the other. */
function hasTransaction(trace: Trace, data: readonly Write[], after: number, before: number) {
  return data.some((meta) => {
    if (meta.at < 0 || meta.at >= META_PAGES_END || durableAt(trace, meta) >= before) return false;
    const pages = data.filter(({ from, to }) => from > after && to < meta.from);
    return pages.length > 0 && pages.every((page) => durableAt(trace, page) < meta.from);
  });
}

function traceWriter(directory: string): Trace {
  const file = join(directory, 'trace');
  const calls = 'trace=openat,mkdir,pwrite64,pwritev,pwritev2,write,writev,fsync,fdatasync';
  const strace = ['-f', '-y', '-s', '0', '-o', file, '-e', calls, process.execPath, WRITER];
  const writer = [join(directory, 'store'), '1', String(ROW_BYTES), String(BATCHES)];
  const said = execFileSync('strace', [...strace, ...writer], { timeout: 120_000 });
  assert.match(said.toString(), `ack ${BATCHES}\n`);
  return readTrace(readFileSync(file, 'latin1').split('\n'));
}

const REUSED = 'a log file is written again only when the database has flushed what it held';
const NAMED = 'a new log file takes its first append when its name is flushed, and its directory’s';
const reason = whyNoTrace();

if (reason !== '') {
  for (const title of [REUSED, NAMED]) skipTest(test, title, reason);
} else {
  let directory = '';
  let trace: Trace;
  test.before(() => {
    directory = mkdtempSync(join(tmpdir(), 'palyra-flush-'));
    trace = traceWriter(directory);
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  const appends = () => trace.writes.filter(({ path }) => /commits-\d\.log$/.test(path));

  test(REUSED, () => {
    const data = trace.writes.filter(({ path }) => path.endsWith('data.mdb'));
    let turns = 0;
    for (const path of new Set(appends().map((append) => append.path))) {
      const own = appends().filter((append) => append.path === path);
      for (const [i, append] of own.entries()) {
        const last = own[i - 1];
        if (append.at !== 0 || last === undefined) continue;
        turns += 1;
        assert.ok(
          hasTransaction(trace, data, last.to, append.from),
          `${path} is written again at line ${append.from + 1} of the trace, and was full at line ${last.to + 1}`,
        );
      }
    }
    assert.is(turns, BATCHES - 2);
    console.log(`${turns} log files written again, each after a flush of the database`);
  });

  test(NAMED, () => {
    const logs = trace.created.filter(({ path }) => /commits-\d\.log$/.test(path));
    assert.is(logs.length, 2);
    for (const { path } of logs) {
      const first = appends().find((append) => append.path === path);
      assert.ok(first !== undefined, path);
      for (const name of [path, dirname(path)]) {
        const made = trace.created.filter((one) => one.path === name && one.to < first.from).at(-1);
        assert.ok(made !== undefined, name);
        const isFlushed = trace.flushes.some(
          (flush) => flush.path === dirname(name) && flush.from > made.to && flush.to < first.from,
        );
        assert.ok(isFlushed, `${dirname(name)} is flushed before ${path} takes an append`);
      }
    }
  });
}

test.run();
