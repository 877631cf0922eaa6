/**
 * Runs the compiled test files, each in its own process with a deadline, and closes with one line of counts.
 * `--faults` runs the fault suites alone, at full scale; other arguments are parts of the paths to run.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { killGroup, runFile } from './support/run-file.ts';
import { type FileReport, readReport } from './support/uvu-report.ts';

/** Two cores: one file each. Fault suites load the machine themselves and run alone. */
const FILES_AT_ONCE = 2;
const DEADLINE_MS = 120_000;
const FAULT_DEADLINE_MS = 600_000;
const FULL_FAULT_DEADLINE_MS = 3_600_000;

const { values: flags, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    faults: { type: 'boolean', default: false },
    /** Where the compiled tests are; the runner's own tests set it. */
    root: { type: 'string', default: import.meta.dirname },
  },
});

const groups = new Set<number>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const group of groups) killGroup(group);
    process.exit(1);
  });
}

const reports: FileReport[] = [];
const { ordinary, faults } = findFiles();
await runAll(ordinary, FILES_AT_ONCE);
await runAll(faults, 1);
close();

function findFiles(): { ordinary: string[]; faults: string[] } {
  const names = readdirSync(flags.root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .sort();
  return {
    ordinary: flags.faults ? [] : names.filter((name) => !isFault(name)),
    faults: names.filter(isFault),
  };
}

/** Suites that have more rounds than a plain run takes. They run alone: they kill, stall and fill. */
function isFault(name: string): boolean {
  return name.startsWith(`faults${sep}`) || name.startsWith(`sim${sep}`);
}

async function runAll(names: readonly string[], atOnce: number): Promise<void> {
  const waiting = [...names];
  const lane = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await runOne(name);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

async function runOne(name: string): Promise<void> {
  const path = join(flags.root, name);
  const startedAtMs = performance.now();
  let group = 0;
  const outcome = await runFile({
    path,
    deadlineMs: deadlineOf(name, readFileSync(path, 'utf8')),
    env: {
      ...process.env,
      NO_COLOR: '1',
      PALYRA_TEST_SCALE: process.env.PALYRA_TEST_SCALE ?? (flags.faults ? 'full' : 'small'),
    },
    onGroup(pid) {
      groups.delete(group);
      group = pid;
      if (pid !== 0) groups.add(pid);
    },
  });
  const report = readReport(outcome);
  reports.push(report);
  const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  const word = report.failed > 0 ? 'FAIL' : 'ok  ';
  console.log(`${word} ${relative('', path)}  ${countsOf(report)}  ${seconds} s`);
  for (const reason of report.skipReasons) console.log(`     skipped: ${reason}`);
  if (report.failed > 0) {
    if (report.problem !== '') console.log(`     ${report.problem}`);
    console.log(outcome.output.replace(/^/gm, '     | '));
  }
}

/** A file may set its own: `export const deadlineMs = 300_000;`, and `fullDeadlineMs` for `--faults`. */
function deadlineOf(name: string, code: string): number {
  const own = new RegExp(
    `^export const ${flags.faults ? 'fullDeadlineMs' : 'deadlineMs'} = ([\\d_]+);`,
    'm',
  ).exec(code)?.[1];
  if (own !== undefined) return Number(own.replaceAll('_', ''));
  if (!isFault(name)) return DEADLINE_MS;
  return flags.faults ? FULL_FAULT_DEADLINE_MS : FAULT_DEADLINE_MS;
}

function countsOf(counts: { passed: number; failed: number; skipped: number }): string {
  const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`;
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

function close(): void {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const report of reports) {
    sum.passed += report.passed;
    sum.failed += report.failed;
    sum.skipped += report.skipped;
  }
  if (reports.length === 0) {
    console.log('no test file matches');
    sum.failed = 1;
  }
  process.exitCode = sum.failed > 0 ? 1 : 0;
  if (sum.skipped > 0) console.log(`${sum.skipped} skipped, each with its reason above`);
  console.log(`${sum.passed} passed, ${sum.failed} failed`);
}
