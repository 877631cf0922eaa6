/** The import rules: floors, packages, the inside of `actors/`, cycles. Each violation names the remedy. */
import type { Import, SourceFile, Violation } from './source-file.ts';

const FLOORS: Readonly<Record<string, number>> = {
  cli: 3,
  actors: 2,
  connectors: 1,
  transports: 1,
  runtime: 0,
  proto: 0,
};

/** Nobody but these two imports whatever it likes, and nobody imports them. */
const OUTSIDE = ['bench', 'test'];

/** Which folders may use which package; `bench/` and `test/` may use what any other folder may. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@ai-sdk/openai-compatible': ['connectors/models'],
  ai: ['connectors/models'],
  '@opentelemetry/api': ['runtime'],
  comlink: ['runtime/thread'],
  commander: ['cli'],
  grammy: ['connectors/telegram'],
  lmdb: ['runtime/store/lmdb'],
  msgpackr: ['runtime', 'transports'],
  pino: ['cli'],
  piscina: ['runtime/jobs'],
  'smol-toml': ['cli'],
  'uWebSockets.js': ['transports/http'],
  xstate: ['runtime/machine'],
  zod: ['proto', 'cli'],
  'node:worker_threads': ['runtime/host', 'runtime/link', 'runtime/thread'],
  'node:fs': ['cli', 'runtime/host', 'runtime/store/lmdb'],
  'node:fs/promises': ['cli', 'runtime/host', 'runtime/store/lmdb'],
};

/** Packages for development: the named folders only. */
const DEVELOPMENT: Readonly<Record<string, readonly string[]>> = {
  bullmq: ['bench'],
  nact: ['bench'],
  tinybench: ['bench'],
  esbuild: ['test'],
  'fast-check': ['test'],
  publint: ['test'],
  standardwebhooks: ['test', 'bench'],
  uvu: ['test', 'runtime/testing'],
};

export function checkFloors(file: SourceFile): Violation[] {
  const folder = folderOf(file.path);
  if (OUTSIDE.includes(folder)) return [];
  return file.imports
    .filter((one) => one.file !== '' && folderOf(one.file) !== folder)
    .filter(
      (one) =>
        OUTSIDE.includes(folderOf(one.file)) || floorOf(folder) <= floorOf(folderOf(one.file)),
    )
    .map((one) => ({
      file: file.path,
      rule: `floors: ${folder}/ (floor ${floorOf(folder)}) imports ${one.specifier}`,
      remedy: 'imports only go down; let the higher floor pass in what is needed',
    }));
}

export function checkPackages(file: SourceFile): Violation[] {
  const folder = folderOf(file.path);
  return file.imports.flatMap((one) => {
    if (one.package === '' || isWithin(file.path, folders(one.package, folder))) return [];
    const known = PACKAGES[one.package] ?? DEVELOPMENT[one.package];
    if (known === undefined && one.package.startsWith('node:')) return [];
    return [
      {
        file: file.path,
        rule: `packages: it imports ${one.specifier}`,
        remedy:
          known === undefined
            ? 'add the package with its one folder to the table in test/architecture/imports.ts'
            : `${one.package} belongs to ${known.join(', ')}; hide it behind that folder's own words`,
      },
    ];
  });
}

function folders(name: string, folder: string): readonly string[] {
  const owners = PACKAGES[name];
  if (owners === undefined) return DEVELOPMENT[name] ?? [];
  return OUTSIDE.includes(folder) ? [...owners, folder] : owners;
}

/** One platform never sees another; what they share stands beside them. */
export function checkPlatforms(file: SourceFile): Violation[] {
  const [folder, platform, ...rest] = file.path.split('/');
  if (folder !== 'connectors' || rest.length === 0) return [];
  return file.imports
    .filter((one) => {
      const [target, other, ...deeper] = one.file.split('/');
      return target === 'connectors' && deeper.length > 0 && other !== platform;
    })
    .map((one) => ({
      file: file.path,
      rule: `platforms: connectors/${platform} imports ${one.specifier}`,
      remedy: 'move what both need beside connectors/connector.ts',
    }));
}

export function checkActors(file: SourceFile): Violation[] {
  if (folderOf(file.path) !== 'actors' || file.path === 'actors/tree.ts') return [];
  const [, actor = '', name = ''] = file.path.split('/');
  const inFolder = file.path.split('/').length > 2;
  return file.imports.flatMap((one) => {
    const seen = one.file.split('/');
    const across = seen[0] === 'actors' && seen.length > 2 && (!inFolder || seen[1] !== actor);
    if (across && !['protocol.ts', 'rows.ts'].includes(seen.slice(2).join('/'))) {
      return [
        {
          file: file.path,
          rule: `actors: it imports ${one.specifier}`,
          remedy:
            "another actor's folder is seen by its protocol.ts and rows.ts only; actors/tree.ts names actor.ts files",
        },
      ];
    }
    if (!inFolder || !isPureName(name) || mayPure(actor, name, one)) return [];
    return [
      {
        file: file.path,
        rule: `actors: the pure ${name} imports ${one.specifier}`,
        remedy:
          name === 'rows.ts'
            ? 'rows import proto/ and types of runtime/store; move the rest to actor.ts'
            : 'decide and machine import proto/ and runtime/machine; move the rest to actor.ts',
      },
    ];
  });
}

function isPureName(name: string): boolean {
  return ['decide.ts', 'machine.ts', 'rows.ts'].includes(name);
}

/** Pure files may also see their own folder's pure files, rows of others, and types of protocols and contracts. */
function mayPure(actor: string, name: string, one: Import): boolean {
  if (one.package !== '') return ['node:crypto', 'node:buffer'].includes(one.package);
  const [folder, second = '', third = ''] = one.file.split('/');
  if (folder === 'proto') return true;
  if (folder === 'runtime') {
    if (name === 'rows.ts') return second === 'store' && one.kind === 'type';
    return second === 'machine' || (second === 'store' && one.kind === 'type');
  }
  if (one.file === 'connectors/connector.ts' || one.file === 'connectors/models/model.ts') {
    return one.kind === 'type';
  }
  if (folder !== 'actors') return false;
  if (third === 'rows.ts') return true;
  if (third === 'protocol.ts') return one.kind === 'type' || second === actor;
  return second === actor && !['actor.ts', 'control.ts'].includes(third);
}

/** Cycles of imports that are bound when files load; types and `import()` may point anywhere the floors allow. */
export function checkCycles(files: readonly SourceFile[]): Violation[] {
  const edges = new Map(
    files.map((file) => [
      file.path,
      file.imports.filter((one) => one.kind === 'static' && one.file !== '').map((one) => one.file),
    ]),
  );
  const done = new Set<string>();
  const violations: Violation[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      violations.push({
        file: path,
        rule: `cycles: ${[...trail.slice(start), path].join(' → ')}`,
        remedy: 'make one of them an `import type`, or move what both need into a third file',
      });
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return violations;
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function floorOf(folder: string): number {
  return FLOORS[folder] ?? Number.POSITIVE_INFINITY;
}

function isWithin(path: string, owners: readonly string[]): boolean {
  return owners.some((owner) => path === owner || path.startsWith(`${owner}/`));
}
