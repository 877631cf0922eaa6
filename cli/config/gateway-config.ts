/** The gateway's configuration as the rest of the program reads it: camelCase, fully defaulted. It reads no file. */
import type { HistoryLimits } from '../../actors/sessions/history.ts';
import type { ReplyTarget } from '../../proto/channel-messages.ts';

export interface GatewayConfig {
  /** Where the HTTP listener binds; port 0 picks a free one. */
  readonly http: {
    readonly host: string;
    readonly port: number;
    /** A stop serves on for so long after `/readyz` has turned to 503. */
    readonly unreadyMs: number;
  };
  /** Reference of the admin token; '' = none given: the gateway makes one at first start and keeps it in the vault. */
  readonly admin: { readonly tokenRef: string };
  readonly model: ModelConfig;
  /** How much of its session's earlier turns a message's model call has, at most. */
  readonly history: HistoryLimits;
  /** In the order of the file; ids are unique. */
  readonly connectors: readonly ConnectorConfig[];
  readonly router: RouterConfig;
  /** In the order of the file; ids are unique. */
  readonly webhooks: readonly WebhookConfig[];
}

/** `echo` answers with the text it got. */
export type ModelConfig =
  | { readonly provider: 'echo' }
  | {
      readonly provider: 'openai-compatible';
      /** E.g. `https://api.openai.com/v1`, without a trailing slash. */
      readonly baseUrl: string;
      readonly model: string;
      /** '' where the server wants no key. */
      readonly apiKeyRef: string;
    };

export interface ConnectorConfig {
  /** `kind:account`, e.g. `telegram:main`. */
  readonly connectorId: string;
  readonly kind: string;
  /** '' where none is given; a kind that needs a credential is then `missing_credential`. */
  readonly tokenRef: string;
  /** What happens to a piece of which nobody knows whether it was sent. */
  readonly onUnknown: 'retry' | 'hold';
  /** How old a reply may become while the account has no working credential; then it is a dead letter. */
  readonly parkedMaxAgeMs: number;
  readonly enabled: boolean;
  /** Every other key of the section, in the file's spelling, e.g. `{ api_root }`: the kind's `checkOptions` judges it. */
  readonly options: Readonly<Record<string, unknown>>;
}

export const BROADCAST_STRATEGIES = ['deny', 'mention_only', 'allow'] as const;
export type BroadcastStrategy = (typeof BROADCAST_STRATEGIES)[number];
export const DIRECT_MESSAGE_POLICIES = ['deny', 'pairing', 'allow'] as const;
export type DirectMessagePolicy = (typeof DIRECT_MESSAGE_POLICIES)[number];

/** What a channel allows, once defaults and rule are merged. */
export interface ChannelRule {
  /** Lower case; compare with a connector id case-insensitively. */
  readonly channel: string;
  readonly enabled: boolean;
  /** Lower case; `*` matches any text. */
  readonly mentionPatterns: readonly string[];
  /** Lower case sender ids; empty = anyone. */
  readonly allowFrom: readonly string[];
  /** Lower case sender ids; deny wins over allow. */
  readonly denyFrom: readonly string[];
  readonly allowDirectMessages: boolean;
  readonly directMessagePolicy: DirectMessagePolicy;
  /** A session per sender instead of one per conversation. */
  readonly isolateSessionBySender: boolean;
  /** Put before every reply; '' for none. */
  readonly responsePrefix: string;
  readonly broadcastStrategy: BroadcastStrategy;
  /** Runs at once on this channel, at least 1. */
  readonly concurrencyLimit: number;
}

export interface RouterConfig {
  readonly enabled: boolean;
  /** UTF-8 bytes of a message's text; longer is rejected as `message_oversized`. */
  readonly maxMessageBytes: number;
  /** For a channel without a rule that is no webhook. */
  readonly defaults: Omit<ChannelRule, 'channel' | 'mentionPatterns' | 'allowFrom' | 'denyFrom'>;
  /** At most one a channel; what a rule left out is as without it: the defaults, for a webhook its implicit rule. */
  readonly channels: readonly ChannelRule[];
}

export interface WebhookConfig {
  readonly integrationId: string;
  /** A free label, e.g. `generic`. */
  readonly provider: string;
  /** One, or two while rotating; the first one signs. */
  readonly secretRefs: readonly string[];
  /** True only for the built-in demo: the gateway makes the first secret at first start where the vault has none. */
  readonly generateSecret?: boolean;
  readonly enabled: boolean;
  /** A longer body is answered 413. At most 1,048,576. */
  readonly maxPayloadBytes: number;
  /** Where the run's output goes; absent: to its tape only. */
  readonly replyTo?: ReplyTarget;
}
