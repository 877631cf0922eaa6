/** Where an inbound event goes, from rules alone. Pure; load, pairing grants and durability are not its business. */
import { type InboundOffer, LIMITS } from '../../proto/channel-messages.ts';
import { type SessionKey, sessionKeyOf } from '../../proto/ids.ts';
import { matchMention } from './mention.ts';
import type { RouteStep } from './protocol.ts';

/** What a channel allows, defaults merged in. */
interface Allowance {
  readonly enabled: boolean;
  /** Lower case; `*` matches any text that is not blank. */
  readonly mentionPatterns: readonly string[];
  /** Lower case; empty = anyone. */
  readonly allowFrom: readonly string[];
  /** Lower case; deny wins. */
  readonly denyFrom: readonly string[];
  readonly allowDirectMessages: boolean;
  readonly directMessagePolicy: 'deny' | 'pairing' | 'allow';
  readonly isolateSessionBySender: boolean;
  /** Put before every reply; '' for none. */
  readonly responsePrefix: string;
  readonly broadcastStrategy: 'deny' | 'mention_only' | 'allow';
}

export interface ChannelRule extends Allowance {
  /** Lower case; a channel matches it in any case. */
  readonly channel: string;
}

export interface RouterRules {
  readonly enabled: boolean;
  readonly maxMessageBytes: number;
  /** For a channel without a rule. */
  readonly defaults: Omit<Allowance, 'mentionPatterns' | 'allowFrom' | 'denyFrom'>;
  readonly channels: readonly ChannelRule[];
}

export interface Decision {
  readonly accepted: boolean;
  /** Stable code of the check that failed; '' when accepted. */
  readonly reason: string;
  readonly sessionKey: SessionKey;
  readonly responsePrefix: string;
}

interface Case {
  readonly rules: RouterRules;
  readonly offer: InboundOffer;
  readonly rule: Allowance;
  readonly ruleSource: 'configured' | 'webhook' | 'defaults';
  /** With a rule of its own or without. */
  readonly isWebhook: boolean;
  /** Lower case; '' for none. */
  readonly sender: string;
  readonly isMentioned: boolean;
}

interface Check {
  readonly name: string;
  /** '' = passed. */
  judge(it: Case): string;
  /** What was looked at, for who wants to know why. */
  describe(it: Case): string;
}

const WEBHOOK = 'webhook:';

/**
 * Declaring a webhook is its rule: its sender proves itself by signature, so nothing else is asked of it. A rule that is
 * written for it has this where it says nothing, as others have the defaults.
 */
export const WEBHOOK_RULE: Allowance = {
  enabled: true,
  // `*` alone leaves out a bare mass mention.
  mentionPatterns: ['*', '@everyone'],
  allowFrom: [],
  denyFrom: [],
  allowDirectMessages: true,
  directMessagePolicy: 'allow',
  isolateSessionBySender: false,
  responsePrefix: '',
  broadcastStrategy: 'deny',
};

/** In the order they are tried; the first that fails decides. */
const CHECKS: readonly Check[] = [
  {
    name: 'router',
    judge: ({ rules }) => unless(rules.enabled, 'channel_router_disabled'),
    describe: ({ rules }) => (rules.enabled ? 'enabled' : 'disabled'),
  },
  {
    name: 'channel',
    judge: ({ offer }) => unless(!isBlank(offer.connectorId), 'channel_missing'),
    describe: ({ offer }) => blankOrNot(offer.connectorId),
  },
  {
    name: 'ids',
    judge: judgeIds,
    describe: () => 'the limits of channel, conversation and sender',
  },
  {
    name: 'text',
    judge: ({ offer }) => unless(!isBlank(offer.body), 'message_empty'),
    describe: ({ offer }) => blankOrNot(offer.body),
  },
  {
    name: 'size',
    judge: judgeSize,
    describe: ({ offer, rules, isWebhook }) =>
      `${Buffer.byteLength(offer.body)} of ${isWebhook ? "the webhook's own" : rules.maxMessageBytes} bytes`,
  },
  {
    name: 'rule',
    judge: ({ rule }) => unless(rule.enabled, 'channel_disabled'),
    describe: ({ ruleSource }) => `${ruleSource} rule`,
  },
  {
    name: 'webhook_sender',
    judge: ({ offer, isWebhook }) =>
      unless(!isWebhook || offer.senderVerified, 'sender_unverified_for_webhook'),
    describe: ({ offer, isWebhook }) => {
      if (!isWebhook) return 'not a webhook';
      return offer.senderVerified ? 'signature verified' : 'signature not verified';
    },
  },
  {
    name: 'deny_from',
    judge: ({ rule, sender }) =>
      unless(sender === '' || !includes(rule.denyFrom, sender), 'sender_denied'),
    describe: ({ rule }) => `${rule.denyFrom.length} denied senders`,
  },
  { name: 'allow_from', judge: judgeAllowed, describe: describeAllowed },
  { name: 'direct_message', judge: judgeDirectMessage, describe: describeDirectMessage },
  {
    name: 'mention',
    judge: ({ offer, isMentioned }) =>
      unless(offer.isDirectMessage || isMentioned, 'no_matching_mention_or_dm_policy'),
    describe: ({ offer, rule }) =>
      offer.isDirectMessage
        ? 'a direct message needs none'
        : `${rule.mentionPatterns.length} patterns`,
  },
  {
    name: 'broadcast',
    judge: judgeBroadcast,
    describe: ({ offer, rule }) =>
      offer.requestedBroadcast ? `strategy ${rule.broadcastStrategy}` : 'not requested',
  },
];

/** `channel` in lower case. */
export function isWebhookChannel(channel: string): boolean {
  return channel.startsWith(WEBHOOK);
}

export function decide(rules: RouterRules, offer: InboundOffer): Decision {
  const it = toCase(rules, offer);
  let reason = '';
  for (const check of CHECKS) {
    reason = check.judge(it);
    if (reason !== '') break;
  }
  const isolatedBy = it.rule.isolateSessionBySender ? senderOf(offer) || 'unknown' : '';
  return {
    accepted: reason === '',
    reason,
    sessionKey: sessionKeyOf(offer.connectorId, offer.conversationId, isolatedBy),
    responsePrefix: it.rule.responsePrefix,
  };
}

/** Every check up to the one that decides: the last one failed, unless the offer would be accepted. */
export function explain(rules: RouterRules, offer: InboundOffer): readonly RouteStep[] {
  const it = toCase(rules, offer);
  const steps: RouteStep[] = [];
  for (const { name, judge, describe } of CHECKS) {
    const reason = judge(it);
    const passed = reason === '';
    const detail = passed ? describe(it) : `${reason}: ${describe(it)}`;
    steps.push({ check: name, passed, detail });
    if (!passed) break;
  }
  return steps;
}

function toCase(rules: RouterRules, offer: InboundOffer): Case {
  const channel = offer.connectorId.toLowerCase();
  const configured = rules.channels.find((rule) => rule.channel === channel);
  const isWebhook = isWebhookChannel(channel);
  const rule = configured ?? (isWebhook ? WEBHOOK_RULE : defaultRule(rules));
  return {
    rules,
    offer,
    rule,
    ruleSource: configured !== undefined ? 'configured' : isWebhook ? 'webhook' : 'defaults',
    isWebhook,
    sender: senderOf(offer).toLowerCase(),
    isMentioned: matchMention(rule.mentionPatterns, offer.body),
  };
}

function defaultRule({ defaults }: RouterRules): Allowance {
  return { ...defaults, mentionPatterns: [], allowFrom: [], denyFrom: [] };
}

function judgeIds({ offer }: Case): string {
  const isShort =
    Buffer.byteLength(offer.connectorId) <= LIMITS.connectorIdBytes &&
    Buffer.byteLength(offer.conversationId) <= LIMITS.conversationIdBytes &&
    Buffer.byteLength(offer.senderId) <= LIMITS.identityBytes;
  return unless(isShort, 'identity_oversized');
}

/** A webhook's body was held to its integration's own cap before it came here. */
function judgeSize({ offer, rules, isWebhook }: Case): string {
  if (isWebhook) return '';
  return unless(Buffer.byteLength(offer.body) <= rules.maxMessageBytes, 'message_oversized');
}

function judgeAllowed({ rule, offer, sender }: Case): string {
  if (rule.allowFrom.length === 0) return '';
  // Left to pairing.
  if (offer.isDirectMessage && rule.directMessagePolicy === 'pairing') return '';
  if (!offer.senderVerified) return 'sender_unverified_for_allowlist';
  if (sender === '') return 'sender_missing_for_allowlist';
  return unless(includes(rule.allowFrom, sender), 'sender_not_allowlisted');
}

function describeAllowed({ rule, offer, sender }: Case): string {
  if (rule.allowFrom.length === 0) return 'anyone may write';
  if (offer.isDirectMessage && rule.directMessagePolicy === 'pairing') return 'left to pairing';
  if (!offer.senderVerified) return 'sender not verified';
  return sender === '' ? 'no sender' : `${rule.allowFrom.length} allowed senders`;
}

function judgeDirectMessage({ rule, offer, sender }: Case): string {
  if (!offer.isDirectMessage) return '';
  if (!rule.allowDirectMessages) return 'direct_message_disabled';
  switch (rule.directMessagePolicy) {
    case 'allow':
      return '';
    case 'deny':
      return 'direct_message_denied_by_policy';
    case 'pairing':
      if (sender === '') return 'sender_missing_for_dm_pairing';
      if (!offer.senderVerified) return 'sender_unverified_for_dm_pairing';
      return unless(includes(rule.allowFrom, sender), 'direct_message_pairing_required');
  }
}

function describeDirectMessage({ rule, offer, sender }: Case): string {
  if (!offer.isDirectMessage) return 'not a direct message';
  if (!rule.allowDirectMessages) return 'direct messages are off for this channel';
  if (rule.directMessagePolicy !== 'pairing') return `policy ${rule.directMessagePolicy}`;
  if (sender === '') return 'policy pairing, no sender';
  return `policy pairing, sender ${offer.senderVerified ? '' : 'not '}verified`;
}

function judgeBroadcast({ rule, offer, isMentioned }: Case): string {
  if (!offer.requestedBroadcast) return '';
  switch (rule.broadcastStrategy) {
    case 'allow':
      return '';
    case 'deny':
      return 'broadcast_denied_by_policy';
    case 'mention_only':
      return unless(isMentioned, 'broadcast_requires_mention_match');
  }
}

function senderOf(offer: InboundOffer): string {
  return offer.senderId.trim() || offer.senderDisplay.trim();
}

function includes(senders: readonly string[], sender: string): boolean {
  return senders.some((listed) => listed.toLowerCase() === sender);
}

function blankOrNot(text: string): string {
  return isBlank(text) ? 'blank' : 'not blank';
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function unless(isPassed: boolean, reason: string): string {
  return isPassed ? '' : reason;
}
