/** Holds `backup`, which watches a job, and `journal verify`, which reads a store beside its writer. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { STORE_FORMAT } from '../../../cli/compose-machine.ts';
import { openLmdbStore } from '../../../runtime/store/lmdb/index.ts';
import { openFakeGateway } from '../support/fake-gateway.ts';
import { runInProcess } from '../support/run-in-process.ts';
import { serve } from '../support/served-gateway.ts';
import { runCommand } from '../support/spawn-cli.ts';

const test = suite('cli: backup and journal');
const stateRoot = mkdtempSync(join(tmpdir(), 'palyra-journal-'));
const directory = join(stateRoot, 'store');
test.after(() => rmSync(stateRoot, { recursive: true }));

const JOB = '01KA0000000000000000000000';

async function backup(states: readonly { readonly status: string; readonly detail: string }[]) {
  let look = 0;
  const gateway = await openFakeGateway({
    'POST /admin/v1/backup': () => ({ body: { job_id: JOB } }),
    [`GET /admin/v1/jobs/${JOB}`]: () => ({
      body: {
        job_id: JOB,
        operation: 'backup.create',
        started_at_ms: 1,
        ended_at_ms: 2,
        ...states[Math.min(look++, states.length - 1)],
      },
    }),
  });
  const end = await runInProcess(['backup', '--url', gateway.url], { PALYRA_ADMIN_TOKEN: 't' });
  gateway.close();
  return end;
}

test('backup shows progress on stderr and the place of the copy on stdout', async () => {
  const { code, stdout, stderr } = await backup([
    { status: 'running', detail: 'copying' },
    { status: 'running', detail: 'copying' },
    { status: 'done', detail: 'backups/x' },
  ]);
  assert.is(code, 0);
  assert.is(stderr, 'copying\n');
  assert.match(stdout, 'backups/x');
});

test('a backup that failed is exit 1 with the reason', async () => {
  const { code, stderr } = await backup([{ status: 'failed', detail: 'no room' }]);
  assert.is(code, 1);
  assert.match(stderr, 'no room');
});

test('the journal is verified beside its writer, after it, and found broken when a byte was changed', async () => {
  const store = await openLmdbStore({ directory, formatVersion: STORE_FORMAT });
  for (let n = 0; n < 3; n += 1) {
    const facts = [{ type: 'probe', note: `unchanged-${n}` }];
    await store.commit([{ expect: [], put: [], remove: [], facts }], n + 1);
  }
  const verify = ['journal', 'verify', '--state-root', stateRoot, '--json'];
  const beside = await runCommand(verify);
  assert.is(beside.code, 0, beside.stderr);
  assert.is(JSON.parse(beside.stdout).ok, true);
  assert.is(JSON.parse(beside.stdout).facts, 3);
  await store.close();
  assert.is((await runCommand(verify)).code, 0);
  const nowhere = await runCommand(verify, { TMPDIR: '/nonexistent' });
  assert.is(nowhere.code, 0, nowhere.stderr);
  assert.equal(readdirSync(stateRoot), ['store'], 'it leaves nothing behind');

  const file = join(directory, 'data.mdb');
  const bytes = readFileSync(file);
  for (let at = bytes.indexOf('unchanged-1'); at >= 0; at = bytes.indexOf('unchanged-1', at + 1)) {
    bytes.write('meddled--1', at);
  }
  writeFileSync(file, bytes);
  const broken = await runCommand(verify);
  assert.is(broken.code, 1, broken.stderr);
  assert.is(JSON.parse(broken.stdout).ok, false);
  assert.match(broken.stderr, /journal_broken.*vault\.key/);
  // The same damage, the same code, where it is met at a start.
  const start = serve(['--state-root', stateRoot]);
  assert.is(await start.end, 1);
  assert.match(start.stderr(), /store_corrupt.*\n {2}next: .*vault\.key/);
});

test.run();
