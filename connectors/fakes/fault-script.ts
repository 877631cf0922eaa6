/** A list of faults to play, each for its next matching calls: the part that every fake server shares. */

export interface FaultRule<F> {
  /** Which method; any, when left out. */
  readonly method?: string;
  /** All of these parameters must be equal, as text. */
  readonly where?: Readonly<Record<string, string | number>>;
  /** Part of the parameter `text`. */
  readonly textIncludes?: string;
  /** Matching calls that pass unharmed first. Default 0. */
  readonly skip?: number;
  /** How many matching calls it hits. Default 1; 0 = all. */
  readonly times?: number;
  readonly fault: F;
}

export type CallParameters = Readonly<Record<string, unknown>>;

export interface FaultScript<F> {
  add(...rules: readonly FaultRule<F>[]): void;
  /** The fault of this call, which is used up by it. The oldest rule that matches wins. */
  take(method: string, parameters: CallParameters): F | undefined;
  clear(): void;
  readonly pending: number;
}

interface Armed<F> {
  readonly rule: FaultRule<F>;
  skip: number;
  left: number;
}

export function createFaultScript<F>(): FaultScript<F> {
  let armed: Armed<F>[] = [];
  return {
    get pending() {
      return armed.length;
    },
    add(...rules) {
      for (const rule of rules) {
        const times = rule.times ?? 1;
        armed.push({ rule, skip: rule.skip ?? 0, left: times === 0 ? Infinity : times });
      }
    },
    take(method, parameters) {
      for (const entry of armed) {
        if (!matches(entry.rule, method, parameters)) continue;
        if (entry.skip > 0) {
          entry.skip -= 1;
          continue;
        }
        entry.left -= 1;
        if (entry.left <= 0) armed = armed.filter((other) => other !== entry);
        return entry.rule.fault;
      }
      return undefined;
    },
    clear() {
      armed = [];
    },
  };
}

function matches<F>(rule: FaultRule<F>, method: string, parameters: CallParameters): boolean {
  if (rule.method !== undefined && rule.method.toLowerCase() !== method.toLowerCase()) return false;
  if (rule.textIncludes !== undefined) {
    if (!String(parameters.text ?? '').includes(rule.textIncludes)) return false;
  }
  return Object.entries(rule.where ?? {}).every(
    ([key, value]) => String(parameters[key]) === String(value),
  );
}
