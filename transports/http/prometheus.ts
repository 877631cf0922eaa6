/** Metrics as the Prometheus text exposition format 0.0.4. It gathers nothing. */
import type { Metric } from '../../proto/control/owner.ts';

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * One family a name, with HELP and TYPE once, however many sources give samples of it; samples with the same labels are
 * added for counters, and the last one stands for gauges. What is not a name there has its odd characters made `_`.
 */
export function toPrometheus(metrics: readonly Metric[]): string {
  const families = new Map<string, Family>();
  for (const metric of metrics) {
    const name = toName(metric.name, /[^a-zA-Z0-9_:]/g);
    const family = families.get(name) ?? { metric, values: new Map<string, number>() };
    families.set(name, family);
    for (const { labels, value } of metric.samples) {
      const series = `${name}${toLabels(labels)}`;
      const before = metric.type === 'counter' ? (family.values.get(series) ?? 0) : 0;
      family.values.set(series, before + value);
    }
  }
  return [...families].map(([name, family]) => toFamily(name, family)).join('');
}

interface Family {
  readonly metric: Metric;
  readonly values: Map<string, number>;
}

function toFamily(name: string, { metric, values }: Family): string {
  const help = metric.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  const lines = [...values].map(([series, value]) => `${series} ${toValue(value)}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${metric.type}\n${lines.join('')}`;
}

function toLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, value]) => `${toName(name, /[^a-zA-Z0-9_]/g)}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function toName(name: string, odd: RegExp): string {
  const plain = name.replace(odd, '_');
  return /^[0-9]/.test(plain) || plain === '' ? `_${plain}` : plain;
}

function toValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
