/** Installs and builds whatever is missing or stale, and nothing else; `--force` builds anyway. Needs only Node and npm. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = dirname(import.meta.dirname);
const dist = join(root, 'dist');
const stampFile = join(dist, '.prepared.json');
const lockFile = join(dist, '.prepare.lock');
const lockWaitMs = 600_000;
const force = process.argv.includes('--force');

try {
  if (force || installIsStale() || buildIsStale() || linksAreStale()) await underLock(prepare);
} catch (error) {
  process.stderr.write(`prepare: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function prepare() {
  if (installIsStale()) await install();
  if (force || buildIsStale()) await build();
  if (linksAreStale()) linkCommands();
}

/** What the lock file lists must be what is installed; optional packages of other platforms may be missing. */
function installIsStale() {
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return true;
  const wanted = readJson(join(root, 'package-lock.json')).packages;
  const installed = readJson(installedFile)?.packages;
  if (wanted === undefined) throw new Error('package-lock.json is missing or unreadable');
  if (installed === undefined || !manifestMatchesLock(wanted[''])) return true;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    if (found === undefined) {
      if (entry.optional === true || entry.devOptional === true || entry.peer === true) continue;
      return true;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) return true;
    if (!existsSync(join(root, path, 'package.json'))) return true;
  }
  return Object.keys(installed).some((path) => wanted[path] === undefined);
}

/** `npm ci` refuses a package.json that its lock file does not describe: say so before anything is removed. */
function manifestMatchesLock(locked) {
  const manifest = readJson(join(root, 'package.json'));
  for (const field of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    const wanted = JSON.stringify(Object.entries(manifest[field] ?? {}).sort());
    const have = JSON.stringify(Object.entries(locked?.[field] ?? {}).sort());
    if (wanted !== have) {
      throw new Error(`package.json and package-lock.json differ in ${field}: run npm install`);
    }
  }
  return true;
}

async function install() {
  await step('npm ci --ignore-scripts', 'npm', [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  const probe = "await import('lmdb'); await import('msgpackr');";
  await step('load the native store', process.execPath, ['--input-type=module', '-e', probe]);
}

function buildIsStale() {
  const stamp = readJson(stampFile);
  return stamp === undefined || JSON.stringify(stamp) !== JSON.stringify(describeInputs());
}

async function build() {
  const inputs = describeInputs();
  rmSync(stampFile, { force: true });
  removeStaleOutputs(inputs);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await step('build dist/', process.execPath, [tsc, '-p', root, '--noEmitOnError']);
  writeAtomically(stampFile, JSON.stringify(inputs));
}

/** npm links the commands of a project's packages, not its own: with these links `npx` finds them too. */
function ownCommands() {
  const { bin = {} } = readJson(join(root, 'package.json')) ?? {};
  return Object.entries(bin).map(([name, script]) => {
    const link = join(root, 'node_modules', '.bin', name);
    const file = join(root, script);
    return { link, file, target: relative(dirname(link), file) };
  });
}

function linksAreStale() {
  return ownCommands().some(
    ({ link, file, target }) => linkTarget(link) !== target || (statSync(file).mode & 0o111) === 0,
  );
}

function linkCommands() {
  for (const { link, file, target } of ownCommands()) {
    chmodSync(file, 0o755);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }
}

function linkTarget(link) {
  try {
    return readlinkSync(link);
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'EINVAL') return undefined;
    throw error;
  }
}

/** Every input of the build with its size and time: a change, an addition and a deletion all show. */
function describeInputs() {
  const inputs = {};
  for (const file of ['package-lock.json', 'tsconfig.json']) inputs[file] = fingerprint(file);
  for (const folder of readJson(join(root, 'tsconfig.json')).include) {
    for (const path of listFiles(join(root, folder))) {
      if (path.endsWith('.ts')) {
        const name = relative(root, path);
        inputs[name] = fingerprint(name);
      }
    }
  }
  return inputs;
}

function fingerprint(name) {
  const { size, mtimeMs } = statSync(join(root, name));
  return `${size}:${mtimeMs}`;
}

function removeStaleOutputs(inputs) {
  for (const path of listFiles(dist)) {
    const source = relative(dist, path).replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
    if (path !== lockFile && inputs[source] === undefined) rmSync(path, { force: true });
  }
}

function listFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** One preparation at a time; a lock whose process is gone is taken over. */
async function underLock(work) {
  mkdirSync(dist, { recursive: true });
  const giveUpAtMs = Date.now() + lockWaitMs;
  let said = false;
  while (!tryLock()) {
    const owner = lockOwner();
    if (owner !== undefined && !isAlive(owner)) {
      takeAway(owner);
      continue;
    }
    if (!said) process.stderr.write(`prepare: waiting for process ${owner ?? '?'}\n`);
    said = true;
    if (Date.now() > giveUpAtMs) {
      throw new Error(`${lockFile} is held by process ${owner ?? '?'}; remove it if that is wrong`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  try {
    await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

function tryLock() {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Of several that see the dead owner one wins the rename; what it took by mistake, a lock made since, it puts back. */
function takeAway(deadOwner) {
  const grave = `${lockFile}.${process.pid}`;
  try {
    renameSync(lockFile, grave);
    if (lockOwner(grave) !== deadOwner) renameSync(grave, lockFile);
    rmSync(grave, { force: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

function lockOwner(path = lockFile) {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function writeAtomically(path, text) {
  const part = `${path}.${process.pid}`;
  writeFileSync(part, text);
  renameSync(part, path);
}

/** Runs one command with its output on stderr, so that stdout stays the caller's; one line says how long it took. */
async function step(title, command, args) {
  const startedAtMs = performance.now();
  const exit = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
  const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  if (exit !== 0) throw new Error(`${title} failed (${exit}) after ${seconds} s`);
  process.stderr.write(`prepare: ${title}, ${seconds} s\n`);
}
