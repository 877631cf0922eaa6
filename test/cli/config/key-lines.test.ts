/** Holds the line locator: every form of key that TOML has, and every place that a generated file writes. */
import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type KeyPath, locateKeys } from '../../../cli/config/key-lines.ts';
import { validFile } from '../support/config-arbitrary.ts';

const test = suite('config: key lines');

const SOURCE = [
  'title = "a # no comment" # one', // 1
  'a.b.c = 1', // 2
  '"quoted key".\'x.y\' = true', // 3
  'multi = """', // 4
  '[not.a.table]', // 5
  'no = "key" """', // 6
  "raw = '''it's ]''''", // 7
  'list = [ # [', // 8
  '  1, { deep = { er = [ 1,', // 9
  '    2 ] } },', // 10
  ']', // 11
  'when = 1979-05-27 07:32:00 # date', // 12
  '[table]', // 13
  'key = "v\\"]\\\\"', // 14
  '[[rows]]', // 15
  'id = 1', // 16
  '[rows.sub]', // 17
  'x = 1', // 18
  '[[rows]]', // 19
  'id = 2', // 20
  '[[rows.inner]]', // 21
  'y = 1', // 22
  '[[rows.inner]]', // 23
  'y = 2', // 24
].join('\n');

const PLACES: readonly (readonly [KeyPath, number])[] = [
  [['title'], 1],
  [['a', 'b', 'c'], 2],
  [['quoted key', 'x.y'], 3],
  [['multi'], 4],
  [['raw'], 7],
  [['list'], 8],
  [['list', 0], 9],
  [['list', 1, 'deep', 'er'], 9],
  [['list', 1, 'deep', 'er', 1], 10],
  [['when'], 12],
  [['table', 'key'], 14],
  [['rows', 0, 'id'], 16],
  [['rows', 0, 'sub', 'x'], 18],
  [['rows', 1], 19],
  [['rows', 1, 'id'], 20],
  [['rows', 1, 'inner', 0, 'y'], 22],
  [['rows', 1, 'inner', 1, 'y'], 24],
];

test('keys of every form are found on their line', () => {
  parse(SOURCE);
  const lineOf = locateKeys(SOURCE);
  for (const [path, line] of PLACES) assert.is(lineOf(path), line, JSON.stringify(path));
});

test('lines are counted the same with carriage returns', () => {
  const lineOf = locateKeys(SOURCE.replaceAll('\n', '\r\n'));
  for (const [path, line] of PLACES) assert.is(lineOf(path), line, JSON.stringify(path));
});

test('a key that is not written is given the line of what holds it', () => {
  const lineOf = locateKeys(SOURCE);
  assert.is(lineOf(['rows', 1, 'missing']), 19);
  assert.is(lineOf(['table', 'missing', 'deeper']), 13);
  assert.is(lineOf(['nothing']), 1);
});

test('every key of a generated file is found on a line that holds it', () => {
  fc.assert(
    fc.property(validFile, (file) => {
      const source = stringify(file);
      const lines = source.split('\n');
      const lineOf = locateKeys(source);
      for (const path of leavesOf(parse(source), [])) {
        const key = path.filter((part) => typeof part === 'string').at(-1) ?? '';
        const line = lines[lineOf(path) - 1] ?? '';
        assert.ok(
          line.includes(key),
          `${JSON.stringify(path)} is not on line ${lineOf(path)}: ${line}`,
        );
      }
    }),
    { numRuns: 150 },
  );
});

function leavesOf(value: unknown, path: KeyPath): KeyPath[] {
  if (typeof value !== 'object' || value === null || value instanceof Date) return [path];
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return entries.flatMap(([key, child]) => leavesOf(child, [...path, key]));
}

test.run();
