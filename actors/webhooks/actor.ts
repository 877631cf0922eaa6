/** The webhooks: starts one actor per integration and tells the listener which there are. No event passes through it. */
import { defineActor } from '../../runtime/actor.ts';
import { add, list, metrics, sign } from './control.ts';
import type { WebhooksProtocol } from './protocol.ts';
import {
  announce,
  canReply,
  directory,
  enlist,
  listenerDown,
  makeSecrets,
  readStored,
  type WebhooksArgs,
  type WebhooksDeps,
  type WebhooksOwn,
  type WebhooksState,
  withoutDuplicates,
} from './roster.ts';

const RECONCILE_AGAIN_MS = 2_000;

export const webhooksActor = defineActor<
  WebhooksProtocol,
  WebhooksOwn,
  WebhooksArgs,
  WebhooksState,
  WebhooksDeps
>({
  module: import.meta.url,
  export: 'webhooksActor',
  name: 'webhooks',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  async start(self, args, deps) {
    const state: WebhooksState = { args, members: new Map(), isListenerWatched: false };
    const stored = await readStored(self, args.ledger);
    const integrations = withoutDuplicates(args.integrations, stored);
    await makeSecrets(state, self);
    for (const integration of integrations) {
      enlist(state, self, integration);
      if (!integration.enabled || canReply(state, integration)) continue;
      deps.log('warn', 'nobody sends the replies of a webhook: their connector is not enabled', {
        integration: integration.integrationId,
        connector: integration.replyTo?.connectorId,
      });
    }
    announce(state, self);
    return state;
  },
  supervise: () => ({
    strategy: 'one_for_one',
    intensity: 5,
    periodMs: 60_000,
    backoff: { minMs: 50, maxMs: 30_000, factor: 2, jitter: 0.2, resetAfterMs: 60_000 },
    whenExhausted: 'degrade',
  }),
  receive: {
    directory,
    tallies(state, changed) {
      for (const { integrationId, results } of changed) {
        const member = state.members.get(integrationId);
        if (member !== undefined) member.tally = results;
      }
    },
    operate(state, call, self) {
      switch (call.operation) {
        case 'webhooks.list':
          return list(state, self);
        case 'webhooks.add':
          return add(state, self, call);
        case 'webhooks.sign':
          return sign(state, self, call);
        default: {
          const message = `the webhooks have no ${call.operation}`;
          return { ok: false, error: { code: 'not_found', message } };
        }
      }
    },
    metrics: (state, _nothing, self) => metrics(state, self),
    announce: (state, _nothing, self) => announce(state, self),
    makeSecrets: (state, _nothing, self) => makeSecrets(state, self),
    async reconcile(state, _nothing, self) {
      try {
        for (const integration of await readStored(self, state.args.ledger)) {
          if (!state.members.has(integration.integrationId)) enlist(state, self, integration);
        }
        announce(state, self);
      } catch {
        self.after('reconcile', RECONCILE_AGAIN_MS, 'reconcile', null);
      }
    },
  },
  down: (state, _down, self) => listenerDown(state, self),
});
