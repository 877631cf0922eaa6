/** Metrics in Prometheus' text format, read back by the format's own rules. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Metric } from '../../../proto/control/owner.ts';
import { toPrometheus } from '../../../transports/http/prometheus.ts';

const test = suite('prometheus');

const counter = (name: string, labels: Record<string, string>, value: number): Metric => ({
  name,
  help: 'Help.',
  type: 'counter',
  samples: [{ labels, value }],
});

test('a family has HELP and TYPE once, then its samples', () => {
  assert.is(
    toPrometheus([counter('a_total', { b: '1' }, 2), counter('a_total', { b: '2' }, 3)]),
    '# HELP a_total Help.\n# TYPE a_total counter\na_total{b="1"} 2\na_total{b="2"} 3\n',
  );
});

test('the same series from two sources is one line: counters add, gauges replace', () => {
  const both = [counter('a', { y: '2', x: '1' }, 2), counter('a', { x: '1', y: '2' }, 3)];
  assert.match(toPrometheus(both), 'a{x="1",y="2"} 5\n');
  const gauges = both.map((metric): Metric => ({ ...metric, type: 'gauge' }));
  assert.match(toPrometheus(gauges), 'a{x="1",y="2"} 3\n');
});

test('quotes, backslashes and line breaks cannot end a value or a line', () => {
  const text = toPrometheus([
    { ...counter('a', { l: 'x"} 1\nevil 2 \\' }, 1), help: 'one\ntwo \\' },
  ]);
  assert.is(text, '# HELP a one\\ntwo \\\\\n# TYPE a counter\na{l="x\\"} 1\\nevil 2 \\\\"} 1\n');
});

test('odd names become plain ones and odd numbers have their own words', () => {
  assert.match(toPrometheus([counter('1 a-b', { 'c.d': 'e' }, Number.NaN)]), '_1_a_b{c_d="e"} NaN');
  assert.match(toPrometheus([counter('a', {}, Number.POSITIVE_INFINITY)]), 'a +Inf\n');
  assert.match(toPrometheus([counter('a', {}, Number.NEGATIVE_INFINITY)]), 'a -Inf\n');
});

test('whatever the labels, what is read back is what was given', () => {
  const labels = fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.string({ unit: 'binary' }), {
    maxKeys: 4,
  });
  fc.assert(
    fc.property(labels, fc.double(), (given, value) => {
      const lines = toPrometheus([counter('a_total', given, value)]).split('\n');
      assert.is(lines.length, 4, 'one sample is one line');
      const read = parseSample(lines[2] ?? '');
      assert.equal(read.labels, { ...given });
      assert.ok(Object.is(read.value, value === 0 ? 0 : value), `${read.value} is not ${value}`);
    }),
    { verbose: true },
  );
});

/** By the grammar of the text format, one character at a time. */
function parseSample(line: string): { labels: Record<string, string>; value: number } {
  const labels: Record<string, string> = {};
  let rest = line.replace(/^[a-zA-Z_:][a-zA-Z0-9_:]*/, '');
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const name = /^([a-zA-Z_][a-zA-Z0-9_]*)="/.exec(rest);
      if (name === null) throw new Error(`no label at ${rest}`);
      rest = rest.slice(name[0].length);
      let value = '';
      while (!rest.startsWith('"')) {
        const escaped = rest.startsWith('\\');
        const character = rest.charAt(escaped ? 1 : 0);
        value += escaped && character === 'n' ? '\n' : character;
        rest = rest.slice(escaped ? 2 : 1);
      }
      labels[name[1] ?? ''] = value;
      rest = rest.slice(1).replace(/^,/, '');
    }
    rest = rest.slice(1);
  }
  return { labels, value: Number(rest.trim().replace('Inf', 'Infinity')) };
}

test.run();
