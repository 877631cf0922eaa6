/** The outbox: the one owner of every delivery's state. It sends nothing itself; connector actors do, once a row says so. */
import { defineActor } from '../../runtime/actor.ts';
import { connectorDown, connectorUp, park, settled, sweep } from './connectors.ts';
import { accountsOf, dueOf, metricsOf, queueOf, recentOf } from './control.ts';
import { finish } from './finish.ts';
import { endedRead, operate } from './interventions.ts';
import { armTimer, fill, pump, pumpAll } from './lanes.ts';
import { load } from './load.ts';
import { committed, fateRead, readFates } from './outcomes.ts';
import { Pace } from './pace.ts';
import type { OutboxProtocol, Settlement } from './protocol.ts';

import {
  createOutboxState,
  type OutboxArgs,
  type OutboxOwn,
  type OutboxSelf,
  type OutboxState,
} from './state.ts';

/** After a jump of the clock, or a long rest, not everything that is due leaves at once. */
const WAKES_PER_TURN = 256;
const NEXT_TURN_MS = 50;

/** Lives on the ledger's thread. Its memory holds what has not ended: see `OutboxPolicies` for the bounds. */
export const outboxActor = defineActor<OutboxProtocol, OutboxOwn, OutboxArgs, OutboxState, unknown>(
  {
    module: import.meta.url,
    export: 'outboxActor',
    name: 'outbox',
    mailbox: { limitMessages: 8_192, overflow: 'reject' },
    async start(self, args) {
      const state = createOutboxState(args);
      await load(state, self);
      armTimer(state, self);

      return state;
    },
    subject: (kind, payload) => (kind === 'settled' ? (payload as Settlement).deliveryId : ''),
    receive: {
      finish: (state, request, self) => finish(state, self, request),
      connectorUp(state, up, self) {
        connectorUp(state, self, up);
        armTimer(state, self);
      },
      parked(state, account, self) {
        park(state, self, account);
        armTimer(state, self);
      },
      settled(state, settlement, self) {
        settled(state, self, settlement);
        armTimer(state, self);
      },
      accounts: (state) => accountsOf(state),
      queue: (state, { connectorId }) => queueOf(state, connectorId),
      recent: (state, { connectorId, limit }) => recentOf(state, connectorId, limit),
      due: (state, _nothing, self) => ({ deliveries: dueOf(state, self.clock.monotonicMs()) }),
      operate(state, call, self) {
        const reply = operate(state, self, call);
        armTimer(state, self);
        return reply;
      },
      endedRead(state, answer, self) {
        endedRead(state, self, answer);
        armTimer(state, self);
      },
      removed: (state, { table, keys }) => state.book.forgetEnded(table, keys),
      metrics: (state, _nothing, self) => metricsOf(state, self.clock.wallMs()),
      committed(state, answer, self) {
        committed(state, self, answer);
        armTimer(state, self);
      },
      fateRead(state, answer, self) {
        fateRead(state, self, answer);
        armTimer(state, self);
      },
      readFates: (state, _nothing, self) => readFates(state, self),
      wake: (state, _nothing, self) => wake(state, self),
      sweep: (state, _nothing, self) => sweep(state, self),
    },
    down(state, down, self) {
      connectorDown(state, self, down);
      armTimer(state, self);
    },
  },
);

function wake(state: OutboxState, self: OutboxSelf): void {
  state.timerAtMs = undefined;
  const nowMs = self.clock.monotonicMs();
  for (let woken = 0; ; woken += 1) {
    if (woken === WAKES_PER_TURN) {
      state.timerAtMs = nowMs + NEXT_TURN_MS;
      self.after('wake', NEXT_TURN_MS, 'wake', null);
      return;
    }
    const item = state.wakes.takeDue(nowMs);
    if (item === undefined) break;
    if (item instanceof Pace) fill(state, self, item.account);
    else if ('lanes' in item) pumpAll(state, self, item);
    else pump(state, self, item);
  }
  armTimer(state, self);
}
