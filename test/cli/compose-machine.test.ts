/** What a gateway touches of its machine: key and token files, bounded reads, one store after the other. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  clearHalfBackups,
  createStoreOpener,
  machineSecrets,
  makeStateRoot,
  prepareBackup,
  publishToken,
  StateRootUnusable,
  toOpenFailure,
  withdrawToken,
} from '../../cli/compose-machine.ts';
import { codeOf, RuntimeError } from '../../runtime/errors.ts';
import { createMemoryStore } from '../../runtime/store/index.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { within } from '../support/within.ts';

const machine = suite('compose: machine');

machine(
  'a state root is made for its owner only, by two at a time too, and what is there stays',
  () =>
    withStateRoot(async (parent) => {
      const stateRoot = join(parent, 'a', 'b');
      await Promise.all([makeStateRoot(stateRoot), makeStateRoot(stateRoot)]);
      for (const made of [join(parent, 'a'), stateRoot, join(stateRoot, 'store')]) {
        assert.is(statSync(made).mode & 0o777, 0o700, made);
      }
      writeFileSync(join(stateRoot, 'store', 'data.mdb'), 'x');
      await makeStateRoot(stateRoot);
      assert.ok(existsSync(join(stateRoot, 'store', 'data.mdb')));
    }),
);

machine('a state root that another path mends is told from a disk that fails', () =>
  withStateRoot(async (parent) => {
    const file = join(parent, 'file');
    writeFileSync(file, '');
    const code = await makeStateRoot(join(file, 'below')).then(() => '', codeOf);
    assert.is(code, 'state_root_unusable');
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    assert.is(new StateRootUnusable(parent, full).code, 'store_failed');
  }),
);

machine('a store that another user’s directory holds is told from one that failed', () => {
  const opened = (code: string) => {
    const cause = Object.assign(new Error('it did not open'), { code });
    const failed = new RuntimeError('store_failed', 'the store cannot be opened', { cause });
    return codeOf(toOpenFailure('/srv/palyra', failed));
  };
  for (const code of ['EACCES', 'EPERM', 'EROFS']) assert.is(opened(code), 'state_root_unusable');
  for (const code of ['ENOSPC', 'EIO']) assert.is(opened(code), 'store_failed');
  const locked = new RuntimeError('store_locked', 'another one has it');
  assert.is(toOpenFailure('/srv/palyra', locked), locked);
});

machine('the master key is made once, where it may be made, 32 bytes, for its owner only', () =>
  withStateRoot(async (stateRoot) => {
    const { masterKey } = machineSecrets(stateRoot);
    assert.is(await masterKey(false), undefined);
    assert.not(existsSync(join(stateRoot, 'vault.key')));
    const first = (await masterKey(true)) ?? Buffer.alloc(0);
    assert.is(first.byteLength, 32);
    for (const make of [true, false]) {
      const again = await machineSecrets(stateRoot).masterKey(make);
      assert.equal(Buffer.from(again ?? []), Buffer.from(first));
    }
    assert.is(statSync(join(stateRoot, 'vault.key')).mode & 0o777, 0o600);
  }),
);

machine('a secret file is read up to one byte beyond its bound, and nothing is nothing', () =>
  withStateRoot(async (stateRoot) => {
    const { readFile } = machineSecrets(stateRoot);
    const file = join(stateRoot, 'large');
    writeFileSync(file, 'x'.repeat(100));
    assert.is((await readFile(file, 10))?.byteLength, 11);
    assert.is((await readFile(file, 100))?.byteLength, 100);
    assert.is(await readFile(join(stateRoot, 'none'), 10), undefined);
    mkdirSync(join(stateRoot, 'directory'));
    // Nobody ever writes to it.
    execFileSync('mkfifo', [join(stateRoot, 'fifo')]);
    for (const path of [join(stateRoot, 'directory'), join(stateRoot, 'fifo'), '/dev/zero']) {
      const reading = readFile(path, 10).catch(codeOf);
      assert.is(await within(path, reading, 30_000), 'not_a_file', path);
    }
  }),
);

machine('a published token stands in its file alone, and can be withdrawn', () =>
  withStateRoot(async (stateRoot) => {
    await publishToken(stateRoot, 'one');
    const file = await publishToken(stateRoot, 'two');
    assert.is(file, join(stateRoot, 'admin.token'));
    assert.is(readFileSync(file, 'utf8'), 'two\n');
    assert.is(statSync(file).mode & 0o777, 0o600);
    await withdrawToken(stateRoot);
    await withdrawToken(stateRoot);
    assert.throws(() => statSync(file));
  }),
);

machine('a backup’s parent is there and its own path is not', () =>
  withStateRoot(async (stateRoot) => {
    const path = await prepareBackup(stateRoot, 'B');
    assert.is(path, join(stateRoot, 'backups', 'B'));
    assert.ok(statSync(join(stateRoot, 'backups')).isDirectory());
    assert.throws(() => statSync(path));
  }),
);

machine('half backups of a process that is gone are removed, and nothing else', () =>
  withStateRoot(async (stateRoot) => {
    await clearHalfBackups(stateRoot);
    const id = '01M84PZ3NNB227KA95R2ZBPMAT';
    const whole = await prepareBackup(stateRoot, id.replace('T', 'S'));
    const others = [`${await prepareBackup(stateRoot, 'notes')}.partial`, whole];
    for (const place of [`${await prepareBackup(stateRoot, id)}.partial`, ...others]) {
      mkdirSync(place);
      writeFileSync(join(place, 'data.mdb'), 'half');
    }
    await clearHalfBackups(stateRoot);
    assert.equal(readdirSync(join(stateRoot, 'backups')).sort(), [
      id.replace('T', 'S'),
      'notes.partial',
    ]);
  }),
);

machine('the next store is opened only when the one before has closed', async () => {
  const open = createStoreOpener(async () => createMemoryStore());
  const first = await open();
  let isOpen = false;
  const second = open().then((store) => {
    isOpen = true;
    return store;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(isOpen, false);
  await first.close();
  await within('the second store', second);
});

machine('a store that never closes is not waited for without end', async () => {
  const open = createStoreOpener(async () => createMemoryStore(), 5);
  await open();
  await within('the second store', open());
});

machine.run();
