/** What is wrong with a configuration file: each issue with file, line, key and what was expected. Values are shown redacted. */
import type { z } from 'zod';
import { nearestOf } from '../nearest.ts';
import type { KeyPath } from './key-lines.ts';

export interface ConfigIssue {
  readonly file: string;
  /** From 1; 0 where the issue is of the file as a whole or of no file. */
  readonly line: number;
  /** E.g. `webhooks[0].reply_to.connector`; '' for the file as a whole. */
  readonly key: string;
  readonly expected: string;
  /** What stands there, redacted: a secret never appears. */
  readonly value: string;
}

/** An issue before its file and line are known. */
export interface KeyIssue {
  readonly path: KeyPath;
  readonly expected: string;
  readonly value: string;
}

/** The configuration cannot be used; `issues` has all that was found, in the order of lines. */
export class ConfigError extends Error {
  readonly code = 'config_invalid';
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map(toLine).join('\n'));
    this.name = 'ConfigError';
    this.issues = issues;
  }
}

/** One issue as one line of text. */
export function toLine(issue: ConfigIssue): string {
  const where = issue.line > 0 ? `${issue.file}:${issue.line}` : issue.file;
  const key = issue.key === '' ? '' : ` ${issue.key}:`;
  return `${where}:${key} expected ${issue.expected}; found ${issue.value}`;
}

export function keyText(path: KeyPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else
      text += `${text === '' ? '' : '.'}${/^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}

/** A schema's complaints as key issues; an unknown key is one issue each, with the nearest known one. */
export function toKeyIssues(
  issues: readonly z.core.$ZodIssue[],
  raw: unknown,
  jsonSchema: unknown,
): KeyIssue[] {
  return issues.flatMap((issue): KeyIssue[] => {
    const path = issue.path.filter((part) => typeof part !== 'symbol');
    if (issue.code !== 'unrecognized_keys') {
      const value = describeValue(valueAt(raw, path), path);
      return [{ path, expected: expectedOf(issue), value }];
    }
    const known = knownKeysAt(jsonSchema, path);
    return issue.keys.map((key) => unknownKey([...path, key], known));
  });
}

export function unknownKey(path: KeyPath, known: readonly string[]): KeyIssue {
  const key = String(path.at(-1));
  const nearest = nearestOf(key, known);
  const list = known.join(', ');
  return {
    path,
    expected:
      nearest === undefined ? `one of the keys ${list}` : `${nearest} (known here: ${list})`,
    value: 'an unknown key',
  };
}

/** A value as an error may show it: short words and numbers as they are, everything else by its kind and size. */
export function describeValue(value: unknown, path: KeyPath): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'a table';
  if (typeof value !== 'string') return `a ${typeof value}`;
  const isSecretive = /ref|token|secret|key|password|url|root/i.test(keyText(path));
  const isPlain = value.length <= 24 && /^[\x20-\x7e]*$/.test(value);
  return isPlain && !isSecretive ? JSON.stringify(value) : `text of ${value.length} characters`;
}

function valueAt(raw: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((value, part) => childOf(value, part), raw);
}

function childOf(value: unknown, part: string | number): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, part) ? (value as Record<string | number, unknown>)[part] : undefined;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'a table',
};

function expectedOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_WORDS[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      return `at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `at most ${issue.maximum}${unitOf(issue.origin)}`;
    default:
      return issue.message;
  }
}

function unitOf(origin: string): string {
  return origin === 'array' ? ' in the list' : '';
}

/** The properties that a JSON Schema allows at a path. */
export function knownKeysAt(jsonSchema: unknown, path: KeyPath): string[] {
  let node = jsonSchema;
  for (const part of path) {
    node =
      typeof part === 'number'
        ? childOf(node, 'items')
        : childOf(childOf(node, 'properties'), part);
  }
  const properties = childOf(node, 'properties');
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}
