/** Checks each connector's section against its kind: does the kind exist, does it take these options. */
import type { ConnectorKind } from '../../connectors/connector.ts';
import { PalyraError } from '../../proto/errors.ts';
import { nearestOf } from '../nearest.ts';
import { describeValue, type KeyIssue } from './config-error.ts';
import { fieldOf, listOf } from './cross-checks.ts';
import type { KeyPath } from './key-lines.ts';
import { CONNECTOR_SECTION_KEYS, optionsOf } from './schema.ts';

type CheckedKind = Pick<ConnectorKind, 'checkOptions'>;
export type ConnectorKinds = Readonly<Record<string, CheckedKind>>;

/** It takes the file's raw content, so that it can speak beside the schema; what has the wrong shape is passed over. */
export function checkKinds(raw: unknown, kinds: ConnectorKinds): KeyIssue[] {
  return listOf(raw, 'connectors').flatMap((section, index): KeyIssue[] => {
    const name = fieldOf(section, 'kind');
    if (typeof name !== 'string' || typeof section !== 'object' || section === null) return [];
    const path = ['connectors', index];
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) return [unknownKind(name, [...path, 'kind'], Object.keys(kinds))];
    return optionIssues(kind, optionsOf({ ...section }), path);
  });
}

function unknownKind(name: string, path: KeyPath, known: readonly string[]): KeyIssue {
  const nearest = nearestOf(name, known);
  const guess = nearest === undefined ? '' : `, probably ${nearest}`;
  return { path, expected: `one of ${known.join(', ')}${guess}`, value: describeValue(name, path) };
}

function optionIssues(
  kind: CheckedKind,
  options: Readonly<Record<string, unknown>>,
  path: KeyPath,
): KeyIssue[] {
  try {
    kind.checkOptions(options);
    return [];
  } catch (error) {
    if (!(error instanceof PalyraError)) throw error;
    const named = error.issues.filter(({ field }) => field !== '');
    if (named.length === 0) return [{ path, expected: error.message, value: 'something else' }];
    return named.map(({ field, message }) =>
      optionIssue([...path, field], message, options[field]),
    );
  }
}

/** A key that the kind refuses may be a misspelled key of every connector. */
function optionIssue(path: KeyPath, message: string, value: unknown): KeyIssue {
  const field = String(path.at(-1));
  const rule = /^must be (.+)$/s.exec(message)?.[1];
  if (rule !== undefined) return { path, expected: rule, value: describeValue(value, path) };
  const nearest = nearestOf(field, CONNECTOR_SECTION_KEYS);
  const hint = nearest === undefined || nearest === field ? 'another key' : nearest;
  return { path, expected: `${hint} (it ${message})`, value: 'an unknown key' };
}
