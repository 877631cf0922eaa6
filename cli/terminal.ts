/** Where a command's words go: results on stdout, everything else on stderr. Commands get it passed, so that tests read them. */
import { ConfigError, toLine } from './config/config-error.ts';
import type { CliError } from './exit-codes.ts';

export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True where a person reads stderr. */
  readonly isInteractive: boolean;
  out(text: string): void;
  err(text: string): void;
  /** What stdin holds, without its last line break; where a person types it, one line that is not shown, after the prompt. */
  readSecret(prompt: string): Promise<string>;
}

/** One result: the object itself with `--json`, else the lines made of it. */
export function show<T>(
  terminal: Terminal,
  options: { readonly json?: boolean },
  result: T,
  toText: (result: T) => string,
): void {
  const text = options.json === true ? JSON.stringify(result) : toText(result);
  terminal.out(text.endsWith('\n') ? text : `${text}\n`);
}

/** Columns padded with spaces under upper-case heads; `none` where there is no row. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  none: string,
): string {
  if (rows.length === 0) return none;
  const all = [heads, ...rows.map((row) => row.map(printable))];
  const widths = heads.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Text of others without control characters, so that it cannot drive a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) =>
    character === '\n' ? ' ' : `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`,
  );
}

/** A text as one word of a POSIX shell, bare where it can be; without double quotes, which a JSON log line would escape. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** ISO time of Unix milliseconds; `-` for 0. */
export function timeText(atMs: number): string {
  return atMs === 0 ? '-' : new Date(atMs).toISOString();
}

/** The error as stderr shows it: its code, what happened, the next step; one JSON line with `--json`. */
export function errorText(error: CliError, isJson: boolean): string {
  const issues = error.cause instanceof ConfigError ? error.cause.issues : [];
  if (isJson) {
    const body = {
      code: error.code,
      exit: error.exitCode,
      message: error.message,
      next: error.next,
    };
    return `${JSON.stringify({ error: issues.length === 0 ? body : { ...body, issues } })}\n`;
  }
  const lines =
    issues.length === 0 ? [`palyra: ${error.code}: ${error.message}`] : issues.map(toLine);
  if (issues.length > 0) {
    lines.push(
      `palyra: ${error.code}: ${issues.length} ${issues.length === 1 ? 'issue' : 'issues'}`,
    );
  }
  if (error.next !== '') lines.push(`  next: ${error.next}`);
  return `${lines.join('\n')}\n`;
}
