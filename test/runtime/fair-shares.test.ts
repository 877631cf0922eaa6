/** Shares of one pot against a model of who holds what: the bound, the newcomer's place, and who is refused because of whom. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FairShares } from '../../runtime/fair-shares.ts';

const test = suite('fair shares');

const SOURCES = ['a', 'b', 'c', 'd', 'e'] as const;
type Source = (typeof SOURCES)[number];

function takeAll(shares: FairShares, source: string): number {
  let taken = 0;
  for (; shares.mayTake(source); taken += 1) shares.take(source);
  return taken;
}

test('whoever takes and gives back: never more than all, a place for who has none, refused only because of the greedy', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...SOURCES), fc.integer({ min: -9, max: 9 })), {
    maxLength: 200,
  });
  void fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), steps, (places, picks) => {
      const shares = new FairShares(places);
      const model = new Map<Source, number>(SOURCES.map((source) => [source, 0]));
      const held = (source: Source) => model.get(source) ?? 0;
      for (const [source, wanted] of picks) {
        for (let n = 0; n < Math.abs(wanted); n += 1) {
          const free = places - [...model.values()].reduce((sum, one) => sum + one, 0);
          if (wanted < 0) {
            shares.giveBack(source);
            model.set(source, Math.max(0, held(source) - 1));
          } else if (shares.mayTake(source)) {
            assert.ok(free > 0, 'no more than there are');
            shares.take(source);
            model.set(source, held(source) + 1);
          } else {
            assert.ok(held(source) > 0 || free === 0, 'who has none gets one');
            const active = SOURCES.filter((one) => held(one) > 0 || one === source).length;
            const even = places / (active + 1 / 4);
            if (held(source) >= even) continue;
            const greedy = SOURCES.filter((one) => held(one) > even);
            assert.ok(greedy.length > 0, 'because of one above its share');
            const goesOn = greedy.some((one) => shares.mayTake(one));
            assert.not.ok(goesOn, 'which gets no more');
          }
          assert.is(shares.heldBy(source), held(source));
        }
      }
      assert.is(
        shares.taken,
        [...model.values()].reduce((sum, one) => sum + one, 0),
      );
    }),
    { numRuns: 1_000 },
  );
});

test('one alone takes four fifths, a newcomer four fifths of the rest, and what comes back goes to the newcomer', () => {
  const shares = new FairShares(1_000);
  assert.is(takeAll(shares, 'flood'), 800);
  assert.is(takeAll(shares, 'late'), 160);
  for (let n = 0; n < 400; n += 1) {
    shares.giveBack('flood');
    if (shares.mayTake('flood')) shares.take('flood');
    takeAll(shares, 'late');
  }
  assert.ok(Math.abs(shares.heldBy('flood') - shares.heldBy('late')) <= 8, 'even in the end');
  assert.ok(shares.heldBy('late') >= Math.floor(1_000 / 2.25) - 4, `${shares.heldBy('late')}`);
});

test('sources that flood together get the same, and a quiet one is never refused beside them', () => {
  const shares = new FairShares(1_000);
  let refusals = 0;
  for (let turn = 0; turn < 1_000; turn += 1) {
    for (const source of ['a', 'b', 'c']) if (shares.mayTake(source)) shares.take(source);
    if (!shares.mayTake('quiet')) refusals += 1;
  }
  assert.is(refusals, 0);
  assert.equal(
    ['a', 'b', 'c'].map((source) => Math.abs(shares.heldBy(source) - 1_000 / 3.25) <= 4),
    [true, true, true],
  );
});

test('a pot of a few places has them all for one source', () => {
  for (const places of [1, 2, 4]) assert.is(takeAll(new FairShares(places), 'a'), places);
  assert.is(takeAll(new FairShares(5), 'a'), 4);
});

test('several places are taken as one: all of them or none, and never more than there are', () => {
  const shares = new FairShares(100);
  assert.equal([shares.mayTake('a', 100), shares.mayTake('a', 101)], [true, false]);
  shares.take('a', 60);
  assert.equal([shares.mayTake('a', 40), shares.mayTake('a', 41)], [true, false]);
  shares.take('a', 20);
  assert.equal(
    [shares.mayTake('a', 1), shares.mayTake('b', 20), shares.mayTake('b', 21)],
    [false, true, false],
  );
  shares.giveBack('a', 100);
  assert.equal([shares.taken, shares.heldBy('a')], [0, 0]);
});

test('what is taken without a question counts, and giving back what is not held changes nothing', () => {
  const shares = new FairShares(2);
  for (let n = 0; n < 3; n += 1) shares.take('a');
  shares.giveBack('b');
  assert.equal([shares.taken, shares.mayTake('a'), shares.mayTake('b')], [3, false, false]);
});

test.run();
