/** Who may do what to which resource: a small allow table, denied by default. Pure. */

export interface PolicyRule {
  /** A principal's name; `*` for anyone who is known. */
  readonly principal: string;
  /** An operation's name, or `*`. */
  readonly operation: string;
  /** The resource must start with this; '' for every one. */
  readonly resourcePrefix: string;
}

export interface PolicyQuestion {
  readonly principal: string;
  readonly operation: string;
  readonly resource: string;
}

/** The owner of the admin token may do everything; nobody else exists yet. */
export const DEFAULT_POLICY: readonly PolicyRule[] = [
  { principal: 'admin', operation: '*', resourcePrefix: '' },
  { principal: 'host', operation: '*', resourcePrefix: '' },
];

export function isAllowed(rules: readonly PolicyRule[], question: PolicyQuestion): boolean {
  return rules.some(
    (rule) =>
      (rule.principal === '*' || rule.principal === question.principal) &&
      (rule.operation === '*' || rule.operation === question.operation) &&
      question.resource.startsWith(rule.resourcePrefix),
  );
}
