/** The dispatcher by hand, with scripted owners and a ledger that keeps its idempotency rows. */
import { type ControlArgs, controlActor } from '../../../actors/control/actor.ts';
import type { ControlCall } from '../../../actors/control/protocol.ts';
import { type OperationName, operations } from '../../../proto/control/catalogue.ts';
import type { OperationOwner, OperationReply } from '../../../proto/control/owner.ts';
import type { ActorRef } from '../../../runtime/actor.ts';
import { AskError } from '../../../runtime/errors.ts';
import type { ChangeSet, Row } from '../../../runtime/store/store.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';

const OWNERS = Object.fromEntries(
  Object.keys(operations).map((name) => [name, { address: `owner/${name}` }]),
) as unknown as Record<OperationName, ActorRef<OperationOwner>>;

const ARGS: ControlArgs = {
  owners: OWNERS,
  ledger: { address: 'ledger' },
  meters: [
    { name: 'one', ref: { address: 'one' } },
    { name: 'dead', ref: { address: 'dead' } },
  ],
};

export const ADMIN = { name: 'admin', scopes: ['admin:read', 'admin:write'] };
export const TEST = { connector_id: 'echo:default', text: 'hi' };
export const OK: OperationReply = { ok: true, output: { secret: 'shown once', accepted: true } };

export interface World {
  owner?: (input: unknown) => OperationReply | Promise<OperationReply>;
  rows?: Map<string, Row>;
  commit?: () => unknown;
}

/** With a ledger that keeps the idempotency rows, as a successor would find them. */
export async function open(world: World = {}) {
  const rows = world.rows ?? new Map<string, Row>();
  const commits: ChangeSet[] = [];
  const performed: unknown[] = [];
  const commit = ({ changes }: { changes: ChangeSet }) => {
    const failed = world.commit?.();
    if (failed !== undefined) return failed;
    for (const { table, key, revision } of changes.expect) {
      if (revision === 0 && rows.has(key))
        return { ok: false, code: 'conflict', table, key, actual: 1 };
    }
    for (const { key, row } of changes.put) rows.set(key, row);
    for (const { key } of changes.remove) rows.delete(key);
    commits.push(changes);
    return { ok: true, revision: commits.length };
  };
  const kit = await createBehaviorKit(
    controlActor,
    ARGS,
    {
      inspect: async () => ({ actors: [], threads: [], counters: { crashes: 3 } }),
      log: () => undefined,
    },
    {
      async answer(to, kind, payload) {
        if (to === 'ledger' && kind === 'commit') return commit(payload as { changes: ChangeSet });
        if (to === 'ledger' && kind === 'read') {
          const row = rows.get((payload as { key: string }).key);
          return row === undefined ? [] : [{ revision: 1, row }];
        }
        if (kind === 'metrics' && to === 'one') {
          return [
            {
              name: 'palyra_x_total',
              help: 'x',
              type: 'counter',
              samples: [{ labels: {}, value: 1 }],
            },
          ];
        }
        if (to.startsWith('owner/')) {
          const { input } = payload as { input: unknown };
          performed.push(input);
          return world.owner?.(input) ?? OK;
        }
        throw new AskError('actor_dead', to, kind);
      },
    },
  );
  const call = (part: Partial<ControlCall>) =>
    kit.receive('call', {
      operation: 'channels.test',
      input: TEST,
      principal: ADMIN,
      idempotencyKey: '',
      trace: 't',
      ...part,
    }) as Promise<OperationReply>;
  return { kit, call, rows, commits, performed };
}
