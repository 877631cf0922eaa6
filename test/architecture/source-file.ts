/** A source file as the architecture rules see it: its imports, and its code without comments and text. It judges nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

export interface Import {
  /** As written: `../proto/ids.ts`, `zod`, `node:fs`. */
  readonly specifier: string;
  /** The project file it names, from the root; '' for a package or a builtin. */
  readonly file: string;
  /** The package's name without its subpath, `node:…` whole; '' for a project file. */
  readonly package: string;
  /** static: bound when the file loads · type: erased · dynamic: `import()`, bound when it runs. */
  readonly kind: 'static' | 'type' | 'dynamic';
  readonly names: string;
}

export interface SourceFile {
  /** From the root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Comments and the text of strings blanked, line for line. */
  readonly code: string;
  readonly imports: readonly Import[];
}

export interface Violation {
  readonly file: string;
  readonly rule: string;
  readonly remedy: string;
}

export const FOLDERS = [
  'actors',
  'bench',
  'cli',
  'connectors',
  'proto',
  'runtime',
  'test',
  'transports',
] as const;

export function readSources(root: string): SourceFile[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)),
  )
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((path) => toSourceFile(path, readFileSync(join(root, path), 'utf8')));
}

export function toSourceFile(path: string, text: string): SourceFile {
  const code = blank(text, true);
  return { path, text, code, imports: readImports(path, blank(text, false), code) };
}

const STATIC =
  /^[ \t]*(?:import|export)\s+(type\s+)?(?:([\w$*{][\w$*{},\s]*?)\s+from\s+)?(['"])([^'"\n]+)\3/gm;
const DYNAMIC = /\bimport\(\s*(['"])([^'"\n]+)\1/g;

function readImports(path: string, uncommented: string, code: string): Import[] {
  const found: Import[] = [];
  for (const match of uncommented.matchAll(STATIC)) {
    // The keyword itself must be code, not a line of some template text.
    if (!/^\s*(import|export)\b/.test(code.slice(match.index))) continue;
    const kind = match[1] === undefined ? 'static' : 'type';
    found.push({ ...resolve(path, match[4] ?? ''), kind, names: match[2] ?? '' });
  }
  for (const match of uncommented.matchAll(DYNAMIC)) {
    if (!code.startsWith('import', match.index)) continue;
    found.push({ ...resolve(path, match[2] ?? ''), kind: 'dynamic', names: '' });
  }
  return found;
}

function resolve(path: string, specifier: string): Pick<Import, 'specifier' | 'file' | 'package'> {
  if (specifier.startsWith('.')) {
    return { specifier, file: posix.join(posix.dirname(path), specifier), package: '' };
  }
  const parts = specifier.split('/');
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
  return { specifier, file: '', package: specifier.startsWith('node:') ? specifier : name };
}

/** Replaces comments, and with `textToo` what stands inside quotes and regular expressions, by spaces. */
export function blank(text: string, textToo: boolean): string {
  let out = '';
  let at = 0;
  const nesting: number[] = [];
  let depth = 0;
  const emit = (until: number, keep: boolean) => {
    const part = text.slice(at, until);
    out += keep ? part : part.replace(/[^\n]/g, ' ');
    at = until;
  };
  const template = () => {
    const end = /(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?:`|\$\{|$)/y;
    end.lastIndex = at;
    const stop = end.exec(text) === null ? text.length : end.lastIndex;
    const opens = text.startsWith('${', stop - 2) && stop > at;
    emit(stop, !textToo);
    if (opens) nesting.push(depth);
  };
  while (at < text.length) {
    const comment = matchAt(/\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y, text, at);
    const quoted = matchAt(/'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*"/y, text, at);
    const pattern = regexAllowed(out)
      ? matchAt(/\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y, text, at)
      : 0;
    const character = text.charAt(at);
    if (comment > 0) emit(at + comment, false);
    else if (quoted > 0) emit(at + quoted, !textToo);
    else if (pattern > 0) emit(at + pattern, !textToo);
    else if (character === '`') {
      emit(at + 1, !textToo);
      template();
    } else if (character === '}' && nesting.at(-1) === depth) {
      nesting.pop();
      emit(at + 1, true);
      template();
    } else {
      if (character === '{') depth += 1;
      if (character === '}') depth -= 1;
      emit(at + 1, true);
    }
  }
  return out;
}

function matchAt(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}

/** A slash begins a regular expression where a value may begin, else it divides. */
function regexAllowed(before: string): boolean {
  const last = /(\w+|[^\s])\s*$/.exec(before.slice(-40))?.[1] ?? '';
  return last === '' || /^(?:return|typeof|case|in|of|[([{,;:=!&|?+\-*%<>~^}])$/.test(last);
}
