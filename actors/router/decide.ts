/** Where an inbound event goes, from rules alone. Pure; load, pairing grants and durability are not its business. */
import { type InboundOffer, LIMITS } from '../../proto/channel-messages.ts';
import { type SessionKey, sessionKeyOf } from '../../proto/ids.ts';
import { matchMention } from './mention.ts';
import type { RouteStep } from './protocol.ts';

/** What one channel allows, defaults merged in. */
export interface ChannelRule {
  /** Lower case; a channel matches it in any case. */
  readonly channel: string;
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

export interface RouterRules {
  readonly enabled: boolean;
  readonly maxMessageBytes: number;
  /** For a channel without a rule. */
  readonly defaults: Omit<ChannelRule, 'channel' | 'mentionPatterns' | 'allowFrom' | 'denyFrom'>;
  readonly channels: readonly ChannelRule[];
}

export interface Decision {
  readonly accepted: boolean;
  /** Stable code of the check that failed; '' when accepted. */
  readonly reason: string;
  readonly sessionKey: SessionKey;
  readonly responsePrefix: string;
  /** In the order they were tried; the last one failed unless accepted. */
  readonly steps: readonly RouteStep[];
}

interface Case {
  readonly rules: RouterRules;
  readonly offer: InboundOffer;
  readonly rule: ChannelRule;
  readonly ruleSource: 'configured' | 'webhook' | 'defaults';
  /** Lower case; '' for none. */
  readonly sender: string;
  readonly isMentioned: boolean;
}

interface Verdict {
  /** '' = passed. */
  readonly reason: string;
  readonly detail: string;
}

type Check = readonly [name: string, judge: (it: Case) => Verdict];

const WEBHOOK = 'webhook:';

const CHECKS: readonly Check[] = [
  ['router', ({ rules }) => verdict(rules.enabled, 'channel_router_disabled', 'enabled')],
  ['channel', ({ offer }) => verdict(!isBlank(offer.connectorId), 'channel_missing', 'not blank')],
  ['ids', checkIds],
  ['text', ({ offer }) => verdict(!isBlank(offer.body), 'message_empty', 'not blank')],
  ['size', checkSize],
  [
    'rule',
    ({ rule, ruleSource }) => verdict(rule.enabled, 'channel_disabled', `${ruleSource} rule`),
  ],
  ['webhook_sender', checkWebhookSender],
  ['deny_from', checkDenied],
  ['allow_from', checkAllowed],
  ['direct_message', checkDirectMessage],
  ['mention', checkMention],
  ['broadcast', checkBroadcast],
];

/** The decision and every check that led to it; the first that fails decides. */
export function decide(rules: RouterRules, offer: InboundOffer): Decision {
  const it = toCase(rules, offer);
  const steps: RouteStep[] = [];
  let reason = '';
  for (const [check, judge] of CHECKS) {
    const found = judge(it);
    reason = found.reason;
    const passed = reason === '';
    steps.push({ check, passed, detail: passed ? found.detail : `${reason}: ${found.detail}` });
    if (!passed) break;
  }
  const isolatedBy = it.rule.isolateSessionBySender ? senderOf(offer) || 'unknown' : '';
  return {
    accepted: reason === '',
    reason,
    sessionKey: sessionKeyOf(offer.connectorId, offer.conversationId, isolatedBy),
    responsePrefix: it.rule.responsePrefix,
    steps,
  };
}

function toCase(rules: RouterRules, offer: InboundOffer): Case {
  const channel = offer.connectorId.toLowerCase();
  const configured = rules.channels.find((rule) => rule.channel === channel);
  const isWebhook = channel.startsWith(WEBHOOK);
  const rule = configured ?? (isWebhook ? webhookRule(channel) : defaultRule(channel, rules));
  return {
    rules,
    offer,
    rule,
    ruleSource: configured !== undefined ? 'configured' : isWebhook ? 'webhook' : 'defaults',
    sender: senderOf(offer).toLowerCase(),
    isMentioned: matchMention(rule.mentionPatterns, offer.body),
  };
}

/** Declaring a webhook is its rule: its sender proves itself by signature, so nothing else is asked of it. */
function webhookRule(channel: string): ChannelRule {
  return {
    channel,
    enabled: true,
    mentionPatterns: ['*'],
    allowFrom: [],
    denyFrom: [],
    allowDirectMessages: true,
    directMessagePolicy: 'allow',
    isolateSessionBySender: false,
    responsePrefix: '',
    broadcastStrategy: 'deny',
  };
}

function defaultRule(channel: string, rules: RouterRules): ChannelRule {
  return { ...rules.defaults, channel, mentionPatterns: [], allowFrom: [], denyFrom: [] };
}

function checkIds({ offer }: Case): Verdict {
  const isShort =
    Buffer.byteLength(offer.connectorId) <= LIMITS.connectorIdBytes &&
    Buffer.byteLength(offer.conversationId) <= LIMITS.conversationIdBytes &&
    Buffer.byteLength(offer.senderId) <= LIMITS.identityBytes;
  return verdict(
    isShort,
    'identity_oversized',
    'channel, conversation and sender fit their limits',
  );
}

/** A webhook's body was held to its integration's own cap before it came here. */
function checkSize({ offer, rules, ruleSource }: Case): Verdict {
  const bytes = Buffer.byteLength(offer.body);
  const isSmall = ruleSource === 'webhook' || bytes <= rules.maxMessageBytes;
  return verdict(isSmall, 'message_oversized', `${bytes} of ${rules.maxMessageBytes} bytes`);
}

function checkWebhookSender({ offer, ruleSource }: Case): Verdict {
  if (ruleSource !== 'webhook') return passed('not a webhook');
  return verdict(offer.senderVerified, 'sender_unverified_for_webhook', 'signature verified');
}

function checkDenied({ rule, sender }: Case): Verdict {
  const isDenied = sender !== '' && includes(rule.denyFrom, sender);
  return verdict(!isDenied, 'sender_denied', `${rule.denyFrom.length} denied senders`);
}

function checkAllowed({ rule, offer, sender }: Case): Verdict {
  if (rule.allowFrom.length === 0) return passed('anyone may write');
  if (offer.isDirectMessage && rule.directMessagePolicy === 'pairing') {
    return passed('left to pairing');
  }
  if (!offer.senderVerified)
    return failed('sender_unverified_for_allowlist', 'sender not verified');
  if (sender === '') return failed('sender_missing_for_allowlist', 'no sender');
  const isListed = includes(rule.allowFrom, sender);
  return verdict(isListed, 'sender_not_allowlisted', `${rule.allowFrom.length} allowed senders`);
}

function checkDirectMessage({ rule, offer, sender }: Case): Verdict {
  if (!offer.isDirectMessage) return passed('not a direct message');
  if (!rule.allowDirectMessages) {
    return failed('direct_message_disabled', 'direct messages are off for this channel');
  }
  switch (rule.directMessagePolicy) {
    case 'allow':
      return passed('policy allow');
    case 'deny':
      return failed('direct_message_denied_by_policy', 'policy deny');
    case 'pairing':
      if (sender === '') return failed('sender_missing_for_dm_pairing', 'no sender');
      if (!offer.senderVerified) {
        return failed('sender_unverified_for_dm_pairing', 'sender not verified');
      }
      return verdict(
        includes(rule.allowFrom, sender),
        'direct_message_pairing_required',
        'policy pairing',
      );
  }
}

function checkMention({ rule, offer, isMentioned }: Case): Verdict {
  if (offer.isDirectMessage) return passed('a direct message needs none');
  const detail = `${rule.mentionPatterns.length} patterns`;
  return verdict(isMentioned, 'no_matching_mention_or_dm_policy', detail);
}

function checkBroadcast({ rule, offer, isMentioned }: Case): Verdict {
  if (!offer.requestedBroadcast) return passed('not requested');
  switch (rule.broadcastStrategy) {
    case 'allow':
      return passed('strategy allow');
    case 'deny':
      return failed('broadcast_denied_by_policy', 'strategy deny');
    case 'mention_only':
      return verdict(isMentioned, 'broadcast_requires_mention_match', 'strategy mention_only');
  }
}

function senderOf(offer: InboundOffer): string {
  return offer.senderId.trim() || offer.senderDisplay.trim();
}

function includes(senders: readonly string[], sender: string): boolean {
  return senders.some((listed) => listed.toLowerCase() === sender);
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function passed(detail: string): Verdict {
  return { reason: '', detail };
}

function failed(reason: string, detail: string): Verdict {
  return { reason, detail };
}

function verdict(isPassed: boolean, reason: string, detail: string): Verdict {
  return isPassed ? passed(detail) : failed(reason, detail);
}
