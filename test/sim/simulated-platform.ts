/**
 * The platform of simulated gateways, which outlives them: slow, forgetful, sometimes refusing. It takes messages, and keeps
 * updates for an account until they are confirmed, as one that is asked with an offset does.
 */
import type { ConnectorKind, ConnectorPorts } from '../../connectors/connector.ts';
import { codeOf } from '../../runtime/errors.ts';

/** What the platform keeps: every message it took, whether or not it could say so. */
export interface Accepted {
  readonly conversationId: string;
  readonly text: string;
}

/** What somebody says to the gateway: a webhook, or an update of the platform. */
export interface Said {
  readonly id: string;
  readonly conversation: string;
  readonly text: string;
  isUnderWay: boolean;
  /** Acknowledged, by the envelope ids it was acknowledged with. */
  readonly envelopes: Set<string>;
  /** It was durable already when it was first acknowledged: nobody could say so before. */
  wasUnheard: boolean;
}

/** The gateway has acknowledged it. */
export function acknowledge(said: Said, envelopeId: string, isDuplicate: boolean): void {
  if (isDuplicate && said.envelopes.size === 0) said.wasUnheard = true;
  said.envelopes.add(envelopeId);
}

/** This platform takes every text in two messages. */
export function piecesOf(text: string): readonly string[] {
  return [text, `${text}, part two`];
}

const FAILED_RETRY_MS = 100;

/** What happened to one account, in this order. */
class Updates {
  readonly #all: Said[] = [];
  /** What is before it was confirmed, and is never given again. */
  #offset = 0;
  #arrived: () => void = () => undefined;

  get all(): readonly Said[] {
    return this.#all;
  }

  add(update: Said): void {
    this.#all.push(update);
    this.#arrived();
  }

  confirm(update: Said): void {
    this.#offset = Math.max(this.#offset, this.#all.indexOf(update) + 1);
  }

  /** The first that is not confirmed, as soon as there is one; undefined once `signal` aborts. */
  async next(signal: AbortSignal): Promise<Said | undefined> {
    while (!signal.aborted) {
      const update = this.#all[this.#offset];
      if (update !== undefined) return update;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return undefined;
  }
}

export class Platform {
  readonly accepted: Accepted[] = [];
  /** Told when a message has arrived. */
  heard: (message: Accepted) => void = () => undefined;
  /** Of the next call: 0 to 1. */
  random: () => number = () => 0.5;
  sleep: (ms: number) => Promise<void> = async () => undefined;
  readonly #accounts = new Map<string, Updates>();

  /** A connector kind whose accounts are on this platform. */
  readonly kind: ConnectorKind = {
    kind: 'sim',
    availability: 'supported',
    needsCredential: false,
    checkOptions: () => undefined,
    create: ({ connectorId }, { sleep }) => {
      const polling = new AbortController();
      const offering = new AbortController();
      let receiving: Promise<void> | undefined;
      return {
        open: async (ports) => {
          ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
          const updates = this.#updatesOf(connectorId);
          receiving = receive({ connectorId, updates, ports, sleep }, polling, offering);
        },
        stopReceiving: async () => {
          polling.abort();
          await receiving;
        },
        close: async () => {
          polling.abort();
          offering.abort();
        },
        split: piecesOf,
        deliver: ({ conversationId, text }) => this.#take({ conversationId, text }),
      };
    },
  };

  /** Every update there was, each account's in their order. */
  get updates(): readonly Said[] {
    return [...this.#accounts.values()].flatMap(({ all }) => all);
  }

  /** Somebody writes to the account. */
  post(connectorId: string, conversation: string): void {
    const updates = this.#updatesOf(connectorId);
    const name = `${connectorId} ${updates.all.length}`;
    updates.add({
      id: `update ${name}`,
      conversation,
      text: `text of ${name}`,
      isUnderWay: false,
      envelopes: new Set(),
      wasUnheard: false,
    });
  }

  #updatesOf(connectorId: string): Updates {
    const updates = this.#accounts.get(connectorId) ?? new Updates();
    this.#accounts.set(connectorId, updates);
    return updates;
  }

  async #take(message: Accepted): ReturnType<ReturnType<ConnectorKind['create']>['deliver']> {
    await this.sleep(this.random() * 5);
    const dice = this.random();
    if (dice < 0.05) return { type: 'transient', reason: 'sim_5xx' };
    if (dice < 0.1)
      return { type: 'rate_limited', retryAfterMs: 50, scope: 'conversation', reason: 'sim_429' };
    this.accepted.push(message);
    this.heard(message);
    await this.sleep(this.random() * 5);
    if (dice < 0.15) throw new Error('the answer is lost');
    return { type: 'delivered', nativeMessageId: `m${this.accepted.length}` };
  }
}

interface Receiving {
  readonly connectorId: string;
  readonly updates: Updates;
  readonly ports: ConnectorPorts;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** One update at a time, each offered until the gateway has taken it: only then is it confirmed. */
async function receive(
  { connectorId, updates, ports, sleep }: Receiving,
  { signal: polling }: AbortController,
  { signal: offering }: AbortController,
): Promise<void> {
  for (;;) {
    const update = await updates.next(polling);
    if (update === undefined) return;
    update.isUnderWay = true;
    const retryAfterMs = await offer(connectorId, update, ports, offering);
    update.isUnderWay = false;
    if (retryAfterMs === undefined) updates.confirm(update);
    else if (retryAfterMs === Number.POSITIVE_INFINITY) return;
    else await sleep(retryAfterMs, polling);
  }
}

/** undefined: it is taken; else the pause before the next try, without an end where nobody would take it. */
async function offer(
  connectorId: string,
  update: Said,
  ports: ConnectorPorts,
  signal: AbortSignal,
): Promise<number | undefined> {
  const message = {
    nativeId: update.id,
    connectorId,
    conversationId: update.conversation,
    threadId: '',
    senderId: 'somebody',
    senderDisplay: '',
    senderVerified: true,
    body: update.text,
    adapterMessageId: '',
    receivedAtMs: 0,
    isDirectMessage: true,
    requestedBroadcast: false,
    attachments: [],
  };
  try {
    const answer = await ports.accept(message, signal);
    if (!answer.accepted) return answer.retryAfterMs;
    acknowledge(update, answer.envelopeId, answer.duplicate);
    return undefined;
  } catch (error) {
    return codeOf(error) === 'stale_incarnation' ? Number.POSITIVE_INFINITY : FAILED_RETRY_MS;
  }
}
