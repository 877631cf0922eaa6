/** The dispatcher by hand: its stages in order, once per key, audited, with every part's metrics. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Metric, OperationReply } from '../../../proto/control/owner.ts';
import { AskError } from '../../../runtime/errors.ts';
import type { Row } from '../../../runtime/store/store.ts';
import { ADMIN, OK, open, TEST } from './control-world.ts';

async function codeOf(reply: Promise<OperationReply>): Promise<string> {
  const settled = await reply;
  return settled.ok ? 'ok' : settled.error.code;
}

const control = suite('control');

control(
  'an unknown operation, a wrong field and a missing scope never reach an owner',
  async () => {
    const { call, performed } = await open();
    assert.is(await codeOf(call({ operation: 'constructor' })), 'not_found');
    const wrong = await call({ input: { connector_id: 'echo:default', txt: 'hi' } });
    assert.is(wrong.ok ? '' : wrong.error.code, 'validation_error');
    assert.ok(!wrong.ok && wrong.error.issues?.some(({ field }) => field === 'text'));
    assert.is(
      await codeOf(call({ principal: { name: 'admin', scopes: ['admin:read'] } })),
      'forbidden',
    );
    assert.is(await codeOf(call({ principal: { ...ADMIN, name: 'stranger' } })), 'forbidden');
    assert.equal(performed, []);
  },
);

control('the owner gets the parsed input, defaults filled', async () => {
  const { call, performed } = await open();
  assert.is(await codeOf(call({})), 'ok');
  assert.equal(performed, [
    {
      ...TEST,
      conversation_id: 'test:conversation',
      sender_id: 'test-user',
      is_direct_message: true,
    },
  ]);
});

control(
  'a command is written to the journal with its principal, resource and outcome; a query is not',
  async () => {
    const { call, commits } = await open({
      owner: () => ({ ok: false, error: { code: 'busy', message: '' } }),
    });
    await call({});
    assert.equal(
      commits.flatMap(({ facts }) => facts),
      [
        {
          type: 'operation.performed',
          principal: 'admin',
          operation: 'channels.test',
          resource: 'connector:echo:default',
          outcome: 'busy',
          trace: 't',
        },
      ],
    );
    await call({ operation: 'channels.list', input: {} });
    assert.is(commits.length, 1);
  },
);

control(
  'the same key twice performs once and gives the same answer, also while the first is under way',
  async () => {
    let finish: (reply: OperationReply) => void = () => undefined;
    const { call, performed } = await open({
      owner: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    const first = call({ idempotencyKey: 'k' });
    const second = call({ idempotencyKey: 'k' });
    await new Promise((resolve) => setImmediate(resolve));
    finish(OK);
    assert.equal(await first, OK);
    assert.equal(await second, OK);
    assert.equal(await call({ idempotencyKey: 'k' }), OK);
    assert.is(performed.length, 1);
  },
);

control(
  'after a restart a key is answered from its row, without what is shown only once',
  async () => {
    const rows = new Map<string, Row>();
    const before = await open({ rows });
    await before.call({ idempotencyKey: 'k' });
    assert.not.ok(JSON.stringify([...rows]).includes('shown once'));
    const after = await open({ rows });
    assert.equal(await after.call({ idempotencyKey: 'k' }), {
      ok: true,
      output: { secret: '', accepted: true },
    });
    assert.is(after.performed.length, 0);
  },
);

control('a key with another input is a conflict, in memory and after a restart', async () => {
  const rows = new Map<string, Row>();
  const before = await open({ rows });
  await before.call({ idempotencyKey: 'k' });
  const input = { ...TEST, text: 'other' };
  assert.is(await codeOf(before.call({ idempotencyKey: 'k', input })), 'idempotency_conflict');
  const after = await open({ rows });
  assert.is(await codeOf(after.call({ idempotencyKey: 'k', input })), 'idempotency_conflict');
});

control('a command that a crash cut is not performed again under its key', async () => {
  const rows = new Map<string, Row>();
  const cut = await open({ rows, owner: () => new Promise<never>(() => undefined) });
  void cut.call({ idempotencyKey: 'k' });
  await new Promise((resolve) => setImmediate(resolve));
  const after = await open({ rows });
  assert.is(await codeOf(after.call({ idempotencyKey: 'k' })), 'failed_precondition');
  assert.is(after.performed.length, 0);
});

control('a key that could not be begun is free again', async () => {
  let isBusy = true;
  const { call, performed } = await open({
    commit: () => (isBusy ? { ok: false, code: 'busy', retryAfterMs: 5 } : undefined),
  });
  const refused = await call({ idempotencyKey: 'k' });
  assert.equal(refused.ok ? '' : [refused.error.code, refused.error.retryAfterMs], ['busy', 5]);
  assert.is(performed.length, 0);
  isBusy = false;
  assert.is(await codeOf(call({ idempotencyKey: 'k' })), 'ok');
});

const FREED: readonly (readonly [string, () => OperationReply])[] = [
  ...(['storage_low', 'busy', 'unavailable', 'stopping'] as const).map((code) => {
    const refused: OperationReply = { ok: false, error: { code, message: 'not now' } };
    return [`refused with ${code}`, () => refused] as const;
  }),
  ...(['mailbox_full', 'actor_dead', 'thread_lost'] as const).map((ask) => {
    const untaken = () => {
      throw new AskError(ask, 'owner', 'operate', { isUnsent: true });
    };
    return [`not taken for ${ask}`, untaken] as const;
  }),
];

for (const [how, owner] of FREED) {
  control(`a command ${how} leaves its key free, at once and after a restart`, async () => {
    const rows = new Map<string, Row>();
    let reply = owner;
    const { call, commits } = await open({ rows, owner: () => reply() });
    const first = await call({ idempotencyKey: 'k' });
    assert.is(first.ok, false);
    assert.is(rows.size, 0);
    assert.is(commits.at(-1)?.facts[0]?.outcome, first.ok ? 'ok' : first.error.code);
    const after = await open({ rows: new Map(rows) });
    assert.equal(await after.call({ idempotencyKey: 'k' }), OK);
    reply = () => OK;
    assert.equal(await call({ idempotencyKey: 'k' }), OK);
  });
}

const UNCERTAIN: readonly (readonly [string, () => OperationReply])[] = [
  [
    'refused with deadline_exceeded',
    () => ({ ok: false, error: { code: 'deadline_exceeded', message: '' } }),
  ],
  [
    'that may have happened',
    () => ({ ok: false, error: { code: 'unavailable', message: '' }, mayHaveHappened: true }),
  ],
  ...(['ask_timeout', 'actor_crashed', 'thread_lost', 'refused'] as const).map((ask) => {
    const lost = () => {
      throw new AskError(ask, 'owner', 'operate');
    };
    return [`lost by ${ask}`, lost] as const;
  }),
];

for (const [how, owner] of UNCERTAIN) {
  control(`a command ${how} is not performed again under its key, but looked for`, async () => {
    const rows = new Map<string, Row>();
    const { call, performed } = await open({ rows, owner });
    assert.is((await call({ idempotencyKey: 'k' })).ok, false);
    assert.equal(
      [...rows.values()].map(({ status }) => status),
      ['begun'],
    );
    for (const { call: again } of [{ call }, await open({ rows })]) {
      const reply = await again({ idempotencyKey: 'k' });
      assert.is(reply.ok ? 'ok' : reply.error.code, 'failed_precondition');
      assert.match(reply.ok ? '' : reply.error.message, /look whether it took effect/);
    }
    assert.is(performed.length, 1);
  });
}

control('a refusal for good is given again under its key', async () => {
  const rows = new Map<string, Row>();
  const refused: OperationReply = { ok: false, error: { code: 'not_found', message: 'none' } };
  const before = await open({ rows, owner: () => refused });
  assert.equal(await before.call({ idempotencyKey: 'k' }), refused);
  assert.equal(await before.call({ idempotencyKey: 'k' }), refused);
  const after = await open({ rows });
  assert.equal(await after.call({ idempotencyKey: 'k' }), refused);
  assert.is(before.performed.length + after.performed.length, 1);
});

control('an owner that is dead or late is an error with its own code', async () => {
  for (const [ask, code] of [
    ['ask_timeout', 'deadline_exceeded'],
    ['actor_dead', 'unavailable'],
    ['mailbox_full', 'busy'],
  ] as const) {
    const { call } = await open({
      owner: () => {
        throw new AskError(ask, 'owner', 'operate');
      },
    });
    assert.is(await codeOf(call({})), code);
    assert.is(await codeOf(call({ operation: 'channels.list', input: {} })), code);
  }
});

control('an unwritten audit is counted, and the command’s answer is given', async () => {
  const { call, kit } = await open({
    commit: () => ({ ok: false, code: 'busy', retryAfterMs: 5 }),
  });
  assert.is(await codeOf(call({})), 'ok');
  const metrics = (await kit.receive('metrics', null)) as readonly Metric[];
  assert.is(sampleOf(metrics, 'palyra_operations_unaudited_total'), 1);
});

control('metrics hold every part, those that are down, and the runtime’s counters', async () => {
  const { kit } = await open();
  const metrics = (await kit.receive('metrics', null)) as readonly Metric[];
  assert.is(sampleOf(metrics, 'palyra_x_total'), 1);
  assert.equal(metrics.find((m) => m.name === 'palyra_component_up')?.samples, [
    { labels: { component: 'one' }, value: 1 },
    { labels: { component: 'dead' }, value: 0 },
  ]);
  assert.is(sampleOf(metrics, 'palyra_runtime_events_total'), 3);
});

function sampleOf(metrics: readonly Metric[], name: string): number | undefined {
  return metrics.find((metric) => metric.name === name)?.samples[0]?.value;
}

control.run();
