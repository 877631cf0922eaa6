/** With which codes an operation is refused: those that the catalogue says of it, and no other. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type OperationName, operations } from '../../../proto/control/catalogue.ts';
import { AskError } from '../../../runtime/errors.ts';
import { declared } from '../../support/declared.ts';
import { open, TEST, type World } from './control-world.ts';

const ULID = '0'.repeat(26);
const DELIVERY = { connector_id: 'echo:default', delivery_id: `${ULID}:0000` };
/** A right one for each operation. */
const INPUTS: Readonly<Record<OperationName, object>> = {
  'status.get': {},
  'channels.list': {},
  'channels.get': { connector_id: 'echo:default' },
  'channels.test': TEST,
  'channels.replay': DELIVERY,
  'channels.discard': DELIVERY,
  'webhooks.list': {},
  'webhooks.add': { integration_id: 'orders' },
  'webhooks.sign': { integration_id: 'orders', body: '{}' },
  'vault.put': { scope: 'a', key: 'b', secret: 's' },
  'vault.list': {},
  'journal.read': {},
  'runs.get': { run_id: ULID },
  'backup.create': {},
  'jobs.get': { job_id: ULID },
};

const control = suite('control: refusals');

control(
  'an owner’s code that the operation does not declare is a defect, and said to be one',
  async () => {
    const { call } = await open({
      owner: () => ({
        ok: false,
        error: { code: 'read_only', message: '' },
        mayHaveHappened: true,
      }),
    });
    const reply = await call({});
    assert.is(reply.ok ? '' : reply.error.code, 'internal_error');
    assert.match(reply.ok ? '' : reply.error.message, 'read_only');
    assert.is(!reply.ok && reply.mayHaveHappened, true);
  },
);

control('the dispatcher’s own refusals are declared by every operation', async () => {
  const reader = { name: 'admin', scopes: [] };
  const codes = new Set<string>();
  for (const name of Object.keys(operations) as OperationName[]) {
    const broken: World = { commit: () => ({ ok: false, code: 'storage_low', retryAfterMs: 5 }) };
    const refusals = [
      { world: {}, part: { input: { no_such_field: 1 } } },
      { world: {}, part: { principal: reader } },
      { world: {}, part: { idempotencyKey: 'k'.repeat(300) } },
      { world: broken, part: { idempotencyKey: 'k' } },
      ...(['mailbox_full', 'actor_dead', 'ask_timeout'] as const).map((code) => ({
        world: {
          owner: () => {
            throw new AskError(code, 'owner', 'operate');
          },
        },
        part: {},
      })),
    ];
    for (const { world, part } of refusals) {
      const { call } = await open(world);
      const reply = await call({ operation: name, input: INPUTS[name], ...part });
      if (!reply.ok) codes.add(declared(name, reply).error.code);
    }
  }
  assert.equal([...codes].sort(), [
    'busy',
    'deadline_exceeded',
    'forbidden',
    'malformed',
    'storage_low',
    'unavailable',
    'validation_error',
  ]);
});

control.run();
