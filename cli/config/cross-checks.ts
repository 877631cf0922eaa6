/** Checks between the keys and sections of a configuration file, which no schema of one value can make. */
import { describeValue, type KeyIssue } from './config-error.ts';

/** What the channels of webhooks begin with: a connector of this kind would have their rule, their dedupe keys and their sessions. */
export const RESERVED_KIND = 'webhook';

/**
 * Duplicate ids, a `reply_to` that names no enabled connector, a kind that differs from its id or is reserved, model keys that
 * do not fit the provider. It takes the file's raw content, so that these are reported together with the schema's own
 * complaints; what has the wrong shape is passed over, because the schema names it.
 */
export function crossCheck(raw: unknown): KeyIssue[] {
  const connectors = listOf(raw, 'connectors');
  const webhooks = listOf(raw, 'webhooks');
  const rules = listOf(fieldOf(fieldOf(raw, 'channel_router'), 'routing'), 'channels');
  return [
    ...duplicates(connectors, ['connectors'], 'id'),
    ...duplicates(webhooks, ['webhooks'], 'integration_id'),
    ...duplicates(rules, ['channel_router', 'routing', 'channels'], 'channel'),
    ...kindIssues(connectors),
    ...replyIssues(webhooks, connectors),
    ...secretIssues(webhooks),
    ...modelIssues(fieldOf(raw, 'model')),
  ];
}

function duplicates(list: readonly unknown[], path: readonly string[], field: string): KeyIssue[] {
  const first = new Map<string, number>();
  const issues: KeyIssue[] = [];
  for (const [index, entry] of list.entries()) {
    const id = fieldOf(entry, field);
    if (typeof id !== 'string') continue;
    // Channels are compared without case, so two ids that differ in case only would share one rule.
    const seen = first.get(id.toLowerCase());
    if (seen === undefined) first.set(id.toLowerCase(), index);
    else {
      const key = [...path, index, field];
      issues.push({
        path: key,
        expected: `another ${field} than that of entry ${seen + 1} (case does not count)`,
        value: describeValue(id, key),
      });
    }
  }
  return issues;
}

function kindIssues(connectors: readonly unknown[]): KeyIssue[] {
  return connectors.flatMap((entry, index): KeyIssue[] => {
    const id = fieldOf(entry, 'id');
    const kind = fieldOf(entry, 'kind');
    const path = ['connectors', index, 'kind'];
    if (kind === RESERVED_KIND) {
      const expected = 'another kind: this one is kept for the channels of [[webhooks]]';
      return [{ path, expected, value: describeValue(kind, path) }];
    }
    if (typeof id !== 'string' || typeof kind !== 'string' || !id.includes(':')) return [];
    const prefix = id.slice(0, id.indexOf(':'));
    if (prefix === kind) return [];
    const expected = `${JSON.stringify(prefix)}, the part of the id before the colon`;
    return [{ path, expected, value: describeValue(kind, path) }];
  });
}

function replyIssues(webhooks: readonly unknown[], connectors: readonly unknown[]): KeyIssue[] {
  const enabled = connectors
    .filter((entry) => fieldOf(entry, 'enabled') !== false)
    .map((entry) => fieldOf(entry, 'id'))
    .filter((id) => typeof id === 'string');
  return webhooks.flatMap((entry, index): KeyIssue[] => {
    const target = fieldOf(fieldOf(entry, 'reply_to'), 'connector');
    if (typeof target !== 'string' || enabled.includes(target)) return [];
    const path = ['webhooks', index, 'reply_to', 'connector'];
    const known = enabled.length === 0 ? 'there is none' : `enabled: ${enabled.join(', ')}`;
    const expected = `the id of an enabled connector in this file (${known})`;
    return [{ path, expected, value: describeValue(target, path) }];
  });
}

function secretIssues(webhooks: readonly unknown[]): KeyIssue[] {
  return webhooks.flatMap((entry, index): KeyIssue[] => {
    const refs = fieldOf(entry, 'secret_refs');
    if (!Array.isArray(refs)) return [];
    const path = ['webhooks', index, 'secret_refs'];
    if (refs.length < 1 || refs.length > 2) {
      const expected = '1 reference, or 2 while rotating';
      return [{ path, expected, value: describeValue(refs, path) }];
    }
    if (refs[0] !== refs[1]) return [];
    return [
      { path: [...path, 1], expected: 'another reference than the first', value: 'the same' },
    ];
  });
}

function modelIssues(model: unknown): KeyIssue[] {
  if (typeof model !== 'object' || model === null) return [];
  const provider = fieldOf(model, 'provider') ?? 'echo';
  if (provider === 'openai-compatible') {
    return ['base_url', 'model']
      .filter((key) => fieldOf(model, key) === undefined)
      .map((key) => ({
        path: ['model', key],
        expected: `${key}, because provider is "openai-compatible"`,
        value: 'nothing',
      }));
  }
  if (provider !== 'echo') return [];
  return ['base_url', 'model', 'api_key_ref']
    .filter((key) => fieldOf(model, key) !== undefined)
    .map((key) => ({
      path: ['model', key],
      expected: `provider = "openai-compatible" beside ${key} (provider "echo" asks no server)`,
      value: describeValue(fieldOf(model, key), ['model', key]),
    }));
}

export function fieldOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

export function listOf(value: unknown, key: string): readonly unknown[] {
  const list = fieldOf(value, key);
  return Array.isArray(list) ? list : [];
}
