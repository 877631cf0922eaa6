/** One connector actor by hand, with a scripted connector and scripted neighbours. */
import { connectorActor } from '../../../actors/channels/connector-actor.ts';
import type { ConnectorArgs } from '../../../actors/channels/connector-state.ts';
import type { ConnectorActorDeps } from '../../../actors/channels/opening.ts';
import type { Attempt, ConnectorStatus } from '../../../actors/channels/protocol.ts';
import type { ConnectorPorts } from '../../../connectors/connector.ts';
import type { InboundOffer } from '../../../proto/channel-messages.ts';
import {
  type BehaviorKitOptions,
  createBehaviorKit,
} from '../../../runtime/testing/behavior-kit.ts';
import { createScripted, type Script, type Scripted } from './scripted-connector.ts';

export const ARGS: ConnectorArgs = {
  account: {
    connectorId: 'scripted:main',
    kind: 'scripted',
    tokenRef: 'env:TOKEN',
    onUnknown: 'retry',
    maxAgeMs: 86_400_000,
    parkedMaxAgeMs: 604_800_000,
    options: {},
  },
  vault: { address: 'vault' },
  router: { address: 'router' },
  outbox: { address: 'outbox' },
  channels: { address: 'channels' },
};

export const OFFER: InboundOffer = {
  connectorId: 'something:else',
  conversationId: '42',
  threadId: 't',
  senderId: 'u1',
  senderDisplay: '',
  senderVerified: true,
  body: 'hi',
  adapterMessageId: '7',
  receivedAtMs: 1,
  isDirectMessage: true,
  requestedBroadcast: false,
  attachments: [],
  nativeId: '42:7',
};

export const ATTEMPT: Attempt = {
  deliveryId: 'D:0001',
  attempt: 1,
  chunk: 0,
  text: 'one|two',
  conversationId: '42',
  threadId: '',
  inReplyTo: '',
  resumed: false,
  trace: 'trace',
};

export const KEY = { deliveryId: 'D:0001', attempt: 1, chunk: 0 };

export interface Line extends Record<string, unknown> {
  readonly level: string;
  readonly message: string;
}

export async function open(script: Script = {}, options: BehaviorKitOptions = {}) {
  const scripted = createScripted(script);
  const lines: Line[] = [];
  const deps: ConnectorActorDeps = {
    connectorKind: async () => scripted.kind,
    sleep: async () => undefined,
    log: (level, message, fields) => lines.push({ level, message, ...fields }),
  };
  const answer: BehaviorKitOptions['answer'] = (to, kind, payload) => {
    const scriptedAnswer = options.answer?.(to, kind, payload);
    if (scriptedAnswer !== undefined) return scriptedAnswer;
    if (to === 'vault') return { ok: true, secret: 'secret-token' };
    throw new Error(`no answer for ${kind}`);
  };
  const kit = await createBehaviorKit(connectorActor, ARGS, deps, { ...options, answer });
  const tells = (to: string, kind: string) =>
    kit.effects.flatMap((e) =>
      e.type === 'tell' && e.to === to && e.kind === kind ? [e.payload] : [],
    );
  return {
    kit,
    scripted,
    tells,
    lines,
    status: () => kit.receive('status', null) as ConnectorStatus,
  };
}

export async function opened(script: Script = {}, options: BehaviorKitOptions = {}) {
  const all = await open(script, options);
  await all.kit.settle();
  all.kit.take();
  return { ...all, ports: portsOf(all.scripted) };
}

function portsOf(scripted: Scripted): ConnectorPorts {
  if (scripted.ports === undefined) throw new Error('not opened');
  return scripted.ports;
}

export function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () =>
      reject(Object.assign(new Error('x'), { code: 'aborted' })),
    );
  });
}
