/** The decision order of the router, rule by rule. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ChannelRule,
  decide,
  explain,
  type RouterRules,
  WEBHOOK_RULE,
} from '../../../actors/router/decide.ts';
import { matchMention } from '../../../actors/router/mention.ts';
import type { InboundOffer } from '../../../proto/channel-messages.ts';

const test = suite('actors/router/decide');

const DEFAULTS: RouterRules['defaults'] = {
  enabled: false,
  allowDirectMessages: false,
  directMessagePolicy: 'deny',
  isolateSessionBySender: false,
  responsePrefix: '',
  broadcastStrategy: 'deny',
};

const RULE: ChannelRule = {
  ...DEFAULTS,
  channel: 'telegram:main',
  enabled: true,
  mentionPatterns: [],
  allowFrom: [],
  denyFrom: [],
  allowDirectMessages: true,
  directMessagePolicy: 'allow',
};

const OFFER: InboundOffer = {
  connectorId: 'telegram:main',
  conversationId: '42',
  threadId: '',
  senderId: 'Alice',
  senderDisplay: '',
  senderVerified: true,
  body: 'hello',
  adapterMessageId: '1',
  receivedAtMs: 0,
  isDirectMessage: true,
  requestedBroadcast: false,
  attachments: [],
  nativeId: '42:1',
};

function rules(rule: Partial<ChannelRule> = {}, more: Partial<RouterRules> = {}): RouterRules {
  const channels = [{ ...RULE, ...rule }];
  return { enabled: true, maxMessageBytes: 10, defaults: DEFAULTS, channels, ...more };
}

const reasonOf = (given: RouterRules, offer: Partial<InboundOffer> = {}) =>
  decide(given, { ...OFFER, ...offer }).reason;

test('a direct message on an open channel is accepted, and every check is listed as passed', () => {
  const decision = decide(rules(), OFFER);
  assert.is(decision.accepted, true);
  assert.is(decision.sessionKey, 'channel:telegram:main:conversation:42');
  const steps = explain(rules(), OFFER);
  assert.ok(steps.length >= 12);
  assert.ok(steps.every((step) => step.passed));
  assert.ok(steps.every((step) => step.detail !== ''));
});

test('the checks are tried in their order, and the first that fails is the last one listed', () => {
  const closed = rules({ enabled: false, denyFrom: ['alice'] }, { enabled: false });
  const bad = { body: 'far too long for this', connectorId: 'telegram:main' };
  assert.is(reasonOf(closed, bad), 'channel_router_disabled');
  const on = { ...closed, enabled: true };
  assert.is(reasonOf(on, bad), 'message_oversized');
  assert.is(reasonOf(on, { body: ' ' }), 'message_empty');
  assert.is(reasonOf(on, { connectorId: ' ' }), 'channel_missing');
  assert.is(reasonOf(on), 'channel_disabled');
  assert.is(reasonOf(rules({ denyFrom: ['alice'], allowFrom: ['alice'] })), 'sender_denied');
  const steps = explain(on, OFFER);
  assert.ok(steps.slice(0, -1).every((step) => step.passed));
  assert.is(steps.at(-1)?.check, 'rule');
  assert.is(steps.at(-1)?.passed, false);
  assert.match(steps.at(-1)?.detail ?? '', 'channel_disabled');
});

test('the checks that are explained end where the decision does, whatever the offer', () => {
  const given: readonly (readonly [RouterRules, Partial<InboundOffer>])[] = [
    [rules({}, { enabled: false }), {}],
    [rules(), { connectorId: ' ' }],
    [rules(), { conversationId: 'x'.repeat(257) }],
    [rules(), { body: ' ' }],
    [rules(), { body: 'far too long for this' }],
    [rules({ enabled: false }), {}],
    [rules(), { connectorId: 'webhook:orders', senderVerified: false }],
    [rules({ denyFrom: ['alice'] }), {}],
    [rules({ allowFrom: ['alice'] }), { senderId: 'bob' }],
    [rules({ allowFrom: ['alice'] }), { senderId: ' ' }],
    [rules({ directMessagePolicy: 'deny' }), {}],
    [rules({ directMessagePolicy: 'pairing' }), {}],
    [rules(), { isDirectMessage: false }],
    [rules(), { requestedBroadcast: true }],
    [rules(), {}],
  ];
  for (const [rule, offer] of given) {
    const { accepted, reason } = decide(rule, { ...OFFER, ...offer });
    const last = explain(rule, { ...OFFER, ...offer }).at(-1);
    assert.is(last?.passed, accepted, reason);
    assert.ok(accepted || last?.detail.startsWith(`${reason}: `), `${reason} in ${last?.detail}`);
  }
  const reasons = given.map(([rule, offer]) => reasonOf(rule, offer));
  assert.is(new Set(reasons).size, given.length, 'each of them is decided by something else');
});

test('a rule is found by its channel in any case, and other channels get the defaults', () => {
  assert.is(reasonOf(rules(), { connectorId: 'Telegram:Main' }), '');
  assert.is(reasonOf(rules(), { connectorId: 'telegram:other' }), 'channel_disabled');
});

test('an allow list wants a verified, named, listed sender', () => {
  const listed = rules({ allowFrom: ['alice'] });
  assert.is(reasonOf(listed), '');
  assert.is(reasonOf(listed, { senderVerified: false }), 'sender_unverified_for_allowlist');
  assert.is(reasonOf(listed, { senderId: ' ' }), 'sender_missing_for_allowlist');
  assert.is(reasonOf(listed, { senderId: 'bob' }), 'sender_not_allowlisted');
  assert.is(reasonOf(listed, { senderId: ' ', senderDisplay: 'ALICE' }), '');
});

test('direct messages follow their policy', () => {
  assert.is(reasonOf(rules({ allowDirectMessages: false })), 'direct_message_disabled');
  const denied = rules({ directMessagePolicy: 'deny' });
  assert.is(reasonOf(denied), 'direct_message_denied_by_policy');
  const paired = rules({ directMessagePolicy: 'pairing', allowFrom: ['alice'] });
  assert.is(reasonOf(paired), '');
  assert.is(reasonOf(paired, { senderId: 'bob' }), 'direct_message_pairing_required');
  assert.is(reasonOf(paired, { senderId: '' }), 'sender_missing_for_dm_pairing');
  assert.is(reasonOf(paired, { senderVerified: false }), 'sender_unverified_for_dm_pairing');
});

test('a group message needs a mention; a broadcast needs its strategy', () => {
  const group = { isDirectMessage: false };
  assert.is(reasonOf(rules(), group), 'no_matching_mention_or_dm_policy');
  const mentioned = rules({ mentionPatterns: ['hello'] });
  assert.is(reasonOf(mentioned, group), '');
  const wide = { ...group, requestedBroadcast: true };
  assert.is(reasonOf(mentioned, wide), 'broadcast_denied_by_policy');
  assert.is(
    reasonOf(rules({ mentionPatterns: ['hello'], broadcastStrategy: 'mention_only' }), wide),
    '',
  );
  const direct = { requestedBroadcast: true };
  const strict = rules({ broadcastStrategy: 'mention_only' });
  assert.is(reasonOf(strict, direct), 'broadcast_requires_mention_match');
  assert.is(reasonOf(rules({ broadcastStrategy: 'allow' }), direct), '');
});

test('a webhook is its own rule: verified sender, no mention, its own size limit', () => {
  const hook = { connectorId: 'webhook:orders', isDirectMessage: false, body: 'x'.repeat(100) };
  assert.is(reasonOf(rules(), hook), '');
  assert.is(
    decide(rules(), { ...OFFER, ...hook, conversationId: 'default' }).sessionKey,
    'channel:webhook:orders:conversation:default',
  );
  assert.is(reasonOf(rules(), { ...hook, senderVerified: false }), 'sender_unverified_for_webhook');
  assert.is(reasonOf(rules({}, { enabled: false }), hook), 'channel_router_disabled');
});

test('a webhook with a rule of its own has that rule, and its sender and size are judged as without it', () => {
  const hook = { connectorId: 'webhook:orders', isDirectMessage: false, body: 'x'.repeat(100) };
  const ruled = (rule: Partial<ChannelRule>) =>
    rules({ ...WEBHOOK_RULE, channel: 'webhook:orders', ...rule });
  assert.is(reasonOf(ruled({}), hook), '');
  assert.is(decide(ruled({ responsePrefix: '> ' }), { ...OFFER, ...hook }).responsePrefix, '> ');
  const unverified = { ...hook, senderVerified: false };
  assert.is(reasonOf(ruled({}), unverified), 'sender_unverified_for_webhook');
  assert.is(reasonOf(ruled({ enabled: false }), hook), 'channel_disabled');
  assert.is(reasonOf(ruled({ denyFrom: ['alice'] }), hook), 'sender_denied');
  const mentioned = ruled({ mentionPatterns: ['@bot'] });
  assert.is(reasonOf(mentioned, hook), 'no_matching_mention_or_dm_policy');
  assert.is(reasonOf(mentioned, { ...hook, body: '@bot, look' }), '');
});

test('a webhook needs no mention, whatever its text', () => {
  const hook = { connectorId: 'webhook:orders', isDirectMessage: false };
  for (const body of ['hi', '@everyone', '@here', '@everyone @here'])
    assert.is(reasonOf(rules({}, { maxMessageBytes: 1 }), { ...hook, body }), '', body);
});

test('sessions are isolated by sender where the rule says so', () => {
  const isolated = rules({ isolateSessionBySender: true });
  const key = (offer: Partial<InboundOffer>) => decide(isolated, { ...OFFER, ...offer }).sessionKey;
  assert.is(key({}), 'channel:telegram:main:conversation:42:sender:Alice');
  assert.is(key({ senderId: '' }), 'channel:telegram:main:conversation:42:sender:unknown');
  assert.is.not(key({ conversationId: 'a:b' }), key({ conversationId: 'a~3ab' }));
});

test('ids beyond their limits are refused before they become keys', () => {
  assert.is(reasonOf(rules(), { conversationId: 'x'.repeat(257) }), 'identity_oversized');
});

test('a mention is a whole word, in any case, and no part of an address', () => {
  assert.is(matchMention(['@bot'], 'hey @Bot, hi'), true);
  assert.is(matchMention(['@bot'], 'hey @bots'), false);
  assert.is(matchMention(['bot'], 'mail bot@example.org'), true);
  assert.is(matchMention(['bot'], 'mail my-bot or bot.example'), false);
  assert.is(matchMention(['bot'], 'xbot bot'), true);
  assert.is(matchMention([], 'anything'), false);
});

test('* takes any text, but a bare mass mention only where a pattern spells one', () => {
  assert.is(matchMention(['*'], 'hi'), true);
  assert.is(matchMention(['*'], ' '), false);
  assert.is(matchMention(['*'], '@everyone @here'), false);
  assert.is(matchMention(['*'], '@everyone look'), true);
  assert.is(matchMention(['@here'], '@here'), true);
  assert.is(matchMention(['everyone'], '@everyone'), false);
});

test.run();
