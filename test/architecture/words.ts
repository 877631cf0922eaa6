/** The rules on a file itself: its name, its length, its first comment, and the words its code may not use. */
import type { SourceFile, Violation } from './source-file.ts';

const MAX_LINES = 400;
const FORM_NAMES = /^(?:utils?|helpers?|types?|common|constants?|misc|managers?)$/;

/** The folders whose behaviour must depend on nothing but their input. */
const DETERMINISTIC = /^(?:proto\/|actors\/|connectors\/connector\.ts$|runtime\/)/;
const MACHINE = /^runtime\/(?:host|store\/lmdb)\//;

const AMBIENT: readonly (readonly [name: string, pattern: RegExp, remedy: string])[] = [
  ['Date.now', /\bDate\s*\.\s*now\b/, 'take the time from self.clock or an injected clock'],
  ['new Date()', /\bnew\s+Date\s*\(\s*\)|(?<!new\s+)\bDate\s*\(/, 'take the time from self.clock'],
  ['performance.now', /\bperformance\s*\.\s*now\b/, 'use clock.monotonicMs'],
  ['timers', /(?<![.\w$])(?:set|clear)(?:Timeout|Interval|Immediate)\b/, 'use self.after'],
  ['nextTick', /\bnextTick\b/, 'send yourself a message'],
  ['queueMicrotask', /(?<![.\w$])queueMicrotask\b/, 'send yourself a message'],
  ['AbortSignal.timeout', /\bAbortSignal\s*\.\s*timeout\b/, 'pass a deadline or use self.after'],
  ['Math.random', /\bMath\s*\.\s*random\b/, 'use self.random, or deps for secrets'],
  [
    'random of crypto',
    /\bcrypto\s*\.\s*random|\b(?:randomUUID|randomInt|getRandomValues)\b/,
    'use deps.randomBytes',
  ],
  ['process', /(?<![.\w$'-])process\s*(?:\.|\[)/, 'take it as an argument or from deps'],
  ['WeakRef', /\b(?:WeakRef|FinalizationRegistry)\b/, 'end the life of things by a message'],
  ['Atomics.wait', /\bAtomics\s*\.\s*wait/, 'only runtime/host may block a thread'],
  ['globalThis', /\bglobalThis\b/, 'take it as an argument or from deps'],
  ['top-level let', /^(?:export\s+)?let\s/m, 'keep it in the state of an actor or an object'],
  [
    'top-level Map or Set',
    /^(?:export\s+)?const\s+\w+[^=\n]*=\s*new\s+(?:Weak)?(?:Map|Set)\b/m,
    'keep it in the state of an actor, or use an object or an array `as const`',
  ],
];

/** Words that say where a file was made, what is left to do, or how a check is to look away. */
const FOREIGN: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['TODO, FIXME, XXX, HACK', /\b(?:TODO|FIXME|XXX|HACK)\b/],
  ['a path of some machine', /(?<![\w.])\/(?:home|Users)\/\w|(?<![\w.])\/root\//],
  ['a switched-off type check', /@ts-(?:ignore|nocheck)/],
];

export function checkName(file: SourceFile): Violation[] {
  const parts = file.path.replace(/(?:\.(?:d|test|contract|fuzz|sim))*\.ts$/, '').split('/');
  const name = parts.at(-1) ?? '';
  const found: Violation[] = [];
  if (FORM_NAMES.test(name)) {
    found.push({
      file: file.path,
      rule: `names: ${name} names a form, not a concept`,
      remedy: 'name the file after its main export, or split it',
    });
  }
  const odd = parts.find((part) => !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(part));
  if (odd !== undefined) {
    found.push({
      file: file.path,
      rule: `names: ${odd} is not kebab-case`,
      remedy: 'lower-case words joined by -',
    });
  }
  return found;
}

export function checkShape(file: SourceFile): Violation[] {
  const found: Violation[] = [];
  const lines = file.text.split('\n').length - 1;
  if (lines > MAX_LINES) {
    found.push({
      file: file.path,
      rule: `length: ${lines} lines, at most ${MAX_LINES}`,
      remedy: 'take one concept out into a file of its own',
    });
  }
  if (!/^(?:#![^\n]*\n)?\/\*\*/.test(file.text)) {
    found.push({
      file: file.path,
      rule: 'module comment: the file does not open with one',
      remedy: 'open it with /** what it is, what it is not responsible for */',
    });
  }
  if (file.path.endsWith('index.ts') && /^export\s+\*\s+from/m.test(file.code)) {
    found.push({
      file: file.path,
      rule: 'index: export *',
      remedy: 'name what is exported',
    });
  }
  return found;
}

/** Where a contract runs the suite it makes, the test that names the implementation needs no call of its own. */
export function checkTestRuns(file: SourceFile): Violation[] {
  if (!file.path.endsWith('.test.ts')) return [];
  const suites = file.code.match(/(?<![\w.$])suite\s*[(<]/g)?.length ?? 0;
  const runs = file.code.match(/\.run\(\)/g)?.length ?? 0;
  const borrows = file.imports.some((one) => one.file.endsWith('.contract.ts'));
  if (runs >= suites && (runs > 0 || borrows)) return [];
  return [
    {
      file: file.path,
      rule: `tests: ${suites} suites, ${runs} calls of .run()`,
      remedy: 'end each suite with .run(), else it is silently left out',
    },
  ];
}

export function checkAmbient(file: SourceFile): Violation[] {
  if (!DETERMINISTIC.test(file.path) || MACHINE.test(file.path)) return [];
  const found = AMBIENT.filter(([, pattern]) => pattern.test(file.code)).map(
    ([name, pattern, remedy]) => ({
      file: `${file.path}:${lineOf(file.code, pattern)}`,
      rule: `ambient powers: ${name}`,
      remedy,
    }),
  );
  const random = file.imports.find(
    (one) => one.package === 'node:crypto' && /\brandom/.test(one.names),
  );
  if (random !== undefined) {
    found.push({
      file: file.path,
      rule: `ambient powers: ${random.names} of node:crypto`,
      remedy: 'use deps.randomBytes',
    });
  }
  return found;
}

export function checkWords(file: SourceFile): Violation[] {
  // These files hold the patterns themselves.
  const ours = file.path.startsWith('test/architecture');
  const found: Violation[] = FOREIGN.filter(([, pattern]) => !ours && pattern.test(file.text)).map(
    ([name, pattern]) => ({
      file: `${file.path}:${lineOf(file.text, pattern)}`,
      rule: `words: ${name}`,
      remedy: 'the code speaks of itself, as it is now',
    }),
  );
  if (/\bas\s+any\b|<any>|:\s*any\b(?!\s*[:(])/.test(file.code)) {
    found.push({
      file: file.path,
      rule: 'words: any',
      remedy: 'use unknown and parse it once',
    });
  }
  if (file.path.startsWith('runtime/') && /\bchats?\b/i.test(file.text)) {
    found.push({
      file: `${file.path}:${lineOf(file.text, /\bchats?\b/i)}`,
      rule: 'words: the runtime knows no chat',
      remedy: 'say it in the words of actors and messages',
    });
  }
  return found;
}

function lineOf(text: string, pattern: RegExp): number {
  const at = pattern.exec(text)?.index ?? 0;
  return text.slice(0, at).split('\n').length;
}
