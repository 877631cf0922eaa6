/** A listener without a socket, and what the actors that it asks ordinarily answer. */
import { httpListenerActor } from '../../../actors/listeners/http-actor.ts';
import type {
  Bound,
  HttpListenerArgs,
  HttpListenerState,
} from '../../../actors/listeners/http-state.ts';
import type { HttpListenerProtocol } from '../../../actors/listeners/protocol.ts';
import { AskError } from '../../../runtime/errors.ts';
import { type BehaviorKit, createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';
import type { GatewayPorts } from '../../../transports/http/gateway-ports.ts';

export const ARGS: HttpListenerArgs = {
  host: '127.0.0.1',
  port: 0,
  tokenRef: 'vault:admin/token',
  makesToken: true,
  vault: { address: 'vault' },
  ledger: { address: 'ledger' },
  control: { address: 'control' },
  channels: { address: 'channels' },
  webhooks: { address: 'webhooks' },
  router: { address: 'router' },
};

export const ENTRY = {
  integrationId: 'orders',
  channel: 'webhook:orders',
  enabled: true,
  maxPayloadBytes: 9,
  replyTo: null,
  ref: { address: 'webhook:orders' },
};

const OFF = { ...ENTRY, integrationId: 'off', enabled: false };
const QUIET = { ...ENTRY, integrationId: 'quiet', ref: { address: 'webhook:quiet' } };

type Answer = (to: string, kind: string) => unknown;

export function ordinary(to: string, kind: string): unknown {
  if (kind === 'directory') return [ENTRY, OFF, QUIET];
  if (kind === 'reveal') return { ok: true, secret: 'the-token' };
  if (kind === 'check') return { type: 'genuine', text: 'hi', bodySha256: 'a' };
  if (kind === 'admit') return { type: 'accepted', envelopeId: 'E' };
  if (kind === 'health') return { admitting: true, commitAgeMs: 0 };
  if (kind === 'ping') return { alive: true };
  if (kind === 'trouble') return { accounts: 0 };
  throw new AskError('actor_dead', to, kind);
}

interface Seen {
  /** Each port that it tried. */
  readonly opened: number[];
  readonly log: string[];
  /** Each line of the log, with its fields. */
  readonly logged: string[];
  readonly published: string[];
  /** How many tries to publish fail from here on. */
  publishFails: number;
}

interface OpenListener {
  readonly kit: Pick<
    BehaviorKit<HttpListenerProtocol, HttpListenerState>,
    'receive' | 'settle' | 'advance' | 'down' | 'effects' | 'take'
  >;
  readonly seen: Seen;
  readonly ports: GatewayPorts;
  bound(): Bound | undefined;
  stop(): unknown;
}

/** By hand: its asks are answered by `answer`, its port is none. */
export async function open(
  answer: Answer = ordinary,
  given: { bound?: Bound; openFails?: number } = {},
): Promise<OpenListener> {
  let opened: GatewayPorts | undefined;
  const seen: Seen = { opened: [], log: [], logged: [], published: [], publishFails: 0 };
  let bound = given.bound;
  let fails = given.openFails ?? 0;
  const kit = await createBehaviorKit(
    httpListenerActor,
    ARGS,
    {
      async openHttp(options, ports) {
        seen.opened.push(options.port);
        if (fails-- > 0) throw Object.assign(new Error('in use'), { code: 'EADDRINUSE' });
        opened = ports;
        return {
          host: '127.0.0.1',
          port: options.port || 4711,
          stopListening: async () => void seen.log.push('stopListening'),
          close: async () => void seen.log.push('close'),
        };
      },
      bound: {
        get: () => bound,
        set: (where) => {
          bound = where;
        },
      },
      async publishToken(token) {
        if (seen.publishFails-- > 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        seen.published.push(token);
      },
      sleep: async () => undefined,
      log: (_level, message, fields) =>
        void seen.logged.push(`${message} ${JSON.stringify(fields)}`),
    },
    { answer },
  );
  if (opened === undefined) throw new Error('not opened');
  const stop = () => httpListenerActor.stop?.(kit.state, kit.self);
  return { kit, seen, ports: opened, bound: () => bound, stop };
}
