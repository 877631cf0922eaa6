/** Checks an account's options key by key against a table of plain predicates. It knows no kind. */
import { PalyraError } from '../proto/errors.ts';

/** `expected` completes the sentence "… must be". */
export interface OptionRule {
  readonly expected: string;
  accepts(value: unknown): boolean;
}
export type OptionRules = Readonly<Record<string, OptionRule>>;

/** Throws `invalid_options` with one issue per wrong or unknown key. Values are never repeated: they may be secrets. */
export function checkOptionRules(
  kind: string,
  rules: OptionRules,
  options: Readonly<Record<string, unknown>>,
): void {
  const issues = Object.entries(options).flatMap(([key, value]) => {
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (rule === undefined) return [{ field: key, message: `is no option of kind ${kind}` }];
    if (value === undefined || rule.accepts(value)) return [];
    return [{ field: key, message: `must be ${rule.expected}` }];
  });
  if (issues.length === 0) return;
  const words = issues.map(({ field, message }) => `${field} ${message}`).join('; ');
  throw new PalyraError('invalid_options', `${kind}: ${words}`, { issues });
}

export function oneOf(...words: readonly string[]): OptionRule {
  return {
    expected: `one of ${words.map((word) => `"${word}"`).join(', ')}`,
    accepts: (value) => typeof value === 'string' && words.includes(value),
  };
}

export function integerBetween(least: number, most: number): OptionRule {
  return {
    expected: `an integer from ${least} to ${most}`,
    accepts: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most,
  };
}

export const trueOrFalse: OptionRule = {
  expected: 'true or false',
  accepts: (value) => typeof value === 'boolean',
};

export const httpRoot: OptionRule = {
  expected: 'an http or https address without user, query or fragment',
  accepts(value) {
    if (typeof value !== 'string' || !URL.canParse(value)) return false;
    const url = new URL(value);
    const isHttp = url.protocol === 'http:' || url.protocol === 'https:';
    return isHttp && `${url.username}${url.password}${url.search}${url.hash}` === '';
  },
};

/** What happens to a delivery whose outcome is unknown; the gateway reads it, every kind accepts it. */
export const onUnknown: OptionRule = oneOf('retry', 'hold');
