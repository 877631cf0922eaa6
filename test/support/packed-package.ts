/** The package as npm would publish it, and installed where nothing else is. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const STEP_MS = 60_000;
const RUN_MS = 60_000;

export interface Packed {
  readonly directory: string;
  readonly tarball: string;
  /** A new directory in which `npm install` of the tarball found `dependencies`, and no other package. Default: all that the manifest names. */
  install(dependencies?: readonly string[]): Installed;
  remove(): void;
}

export interface Installed {
  readonly directory: string;
  write(name: string, text: string): string;
  /** Runs a file of the directory, or of another by its whole path. */
  run(name: string): {
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
  };
}

/** Packs what stands in `dist/`; nothing is built and nothing fetched. */
export function packPackage(): Packed {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-packed-'));
  const output = call(
    'npm',
    ['pack', '--ignore-scripts', '--json', '--pack-destination', directory],
    ROOT,
  );
  const [{ filename }] = JSON.parse(output) as [{ readonly filename: string }];
  const tarball = join(directory, filename);
  let installs = 0;
  return {
    directory,
    tarball,
    install(dependencies = runtimeDependencies()) {
      installs += 1;
      return installInto(join(directory, `host-${installs}`), tarball, dependencies);
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The files of the tarball, from the package's folder. */
export function listFiles({ tarball, directory }: Packed): readonly string[] {
  return call('tar', ['-tzf', tarball], directory)
    .trim()
    .split('\n')
    .map((name) => name.replace(/^package\//, ''));
}

function installInto(
  directory: string,
  tarball: string,
  dependencies: readonly string[],
): Installed {
  const packages = join(directory, 'node_modules');
  const own = join(packages, 'palyra');
  mkdirSync(own, { recursive: true });
  call('tar', ['-xzf', tarball, '--strip-components=1', '-C', own], directory);
  for (const name of dependencies) {
    const link = join(packages, name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link);
  }
  const write = (name: string, text: string) => {
    const file = join(directory, name);
    writeFileSync(file, text);
    return file;
  };
  write('package.json', '{ "type": "module" }\n');
  return {
    directory,
    write,
    run(name) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [resolve(directory, name)], {
        cwd: directory,
        encoding: 'utf8',
        timeout: RUN_MS,
      });
      return { code: status, stdout, stderr };
    },
  };
}

function runtimeDependencies(): readonly string[] {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  return Object.keys(manifest.dependencies);
}

function call(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: STEP_MS,
  });
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? ''}${stderr}`);
  return stdout;
}
