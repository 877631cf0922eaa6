/** Holds the guess of what was meant. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { editDistance, nearestOf } from '../../cli/nearest.ts';

const test = suite('cli: nearest');
const WORDS = ['token_ref', 'api_root', 'on_unknown', 'enabled', 'id', 'kind'];

test('a slip of the finger finds the word that was meant', () => {
  assert.is(nearestOf('tokn_ref', WORDS), 'token_ref');
  assert.is(nearestOf('tokenref', WORDS), 'token_ref');
  assert.is(nearestOf('Enabled', WORDS), 'enabled');
  assert.is(nearestOf('on_unkown', WORDS), 'on_unknown');
  assert.is(nearestOf('knid', WORDS), 'kind');
});

test('a word that resembles none of them finds none', () => {
  assert.is(nearestOf('colour', WORDS), undefined);
  assert.is(nearestOf('x', WORDS), undefined);
  assert.is(nearestOf('anything', []), undefined);
});

test('a swap of neighbours costs one', () => {
  assert.is(editDistance('abcd', 'abdc'), 1);
  assert.is(editDistance('', 'abc'), 3);
  assert.is(editDistance('kitten', 'sitting'), 3);
});

test('the distance is symmetric, zero for the same word only, and no longer than the longer word', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b);
      assert.is(distance, editDistance(b, a));
      assert.is(distance === 0, a === b);
      assert.ok(distance <= Math.max(a.length, b.length));
    }),
  );
});

test.run();
