/** The runtime's own collections against plain ones: a list through its members, strings in order, asks by their ids. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createNodeHost } from '../../runtime/host/node-host.ts';
import { Asks, type OpenAsk, PromiseEnd } from '../../runtime/kernel/asks.ts';
import { type Linked, LinkedList } from '../../runtime/linked-list.ts';
import { SortedStrings } from '../../runtime/sorted-strings.ts';

const test = suite('collections');

class Member implements Linked<Member> {
  previous: Member | undefined = undefined;
  next: Member | undefined = undefined;
}

test('a list has its members in the order they were added, whichever are removed', () => {
  void fc.assert(
    fc.property(fc.array(fc.nat(11), { maxLength: 80 }), (picks) => {
      const list = new LinkedList<Member>();
      const model: Member[] = [];
      const members = Array.from({ length: 12 }, () => new Member());
      for (const pick of picks) {
        const member = members[pick] as Member;
        const at = model.indexOf(member);
        if (at < 0) {
          list.add(member);
          model.push(member);
        } else {
          list.remove(member);
          model.splice(at, 1);
          assert.is(member.previous ?? member.next, undefined, 'it points at nobody');
        }
        assert.is(list.size, model.length);
        assert.is(list.first, model[0]);
        assert.ok([...list].every((one, i) => one === model[i]));
      }
    }),
    { numRuns: 300 },
  );
});

test('what a list gives may be removed at once', () => {
  const list = new LinkedList<Member>();
  for (let i = 0; i < 5; i += 1) list.add(new Member());
  let seen = 0;
  for (const member of list) {
    seen += 1;
    list.remove(member);
  }
  assert.equal([seen, list.size, list.first], [5, 0, undefined]);
});

test('strings stay in order and different, wherever they come and go', () => {
  const text = fc.nat(150).map((n) => String(n).padStart(3, '0'));
  const steps = fc.array(fc.tuple(fc.constantFrom('add', 'delete', 'first'), text), {
    minLength: 1,
    maxLength: 300,
  });
  void fc.assert(
    fc.property(steps, (drawn) => {
      const strings = new SortedStrings();
      const model = new Set<string>();
      for (const [step, drawnText] of drawn) {
        const one = step === 'first' ? ([...model].sort()[0] ?? '') : drawnText;
        if (step === 'add') assert.is(strings.add(one), !model.has(one));
        else assert.is(strings.delete(one), model.has(one));
        if (step === 'add') model.add(one);
        else model.delete(one);
        assert.is(strings.has(one), model.has(one));
        assert.is(strings.size, model.size);
      }
      assert.equal([...strings], [...model].sort());
    }),
    { numRuns: 300 },
  );
});

test('a long run of strings is given back from the front', () => {
  const strings = new SortedStrings();
  const names = Array.from({ length: 1_000 }, (_, i) => String(i).padStart(4, '0'));
  for (const name of names) assert.ok(strings.add(name));
  for (const [i, name] of names.entries()) {
    assert.ok(strings.delete(name));
    assert.not.ok(strings.delete(name));
    assert.is(strings.size, names.length - 1 - i);
    assert.equal([...strings].slice(0, 1), names.slice(i + 1, i + 2));
  }
});

test('A1 asks that stay open while thousands come and go are found by their own ids', async () => {
  const asks = new Asks(createNodeHost());
  const request = {
    ref: { address: 't/a' },
    kind: 'k',
    deadline: { inMs: 60_000 },
    trace: undefined,
    chain: [],
  };
  const open = () => {
    const end = new PromiseEnd();
    return { ask: asks.open(request, end), promise: end.promise };
  };
  try {
    const ids = new Set<number>();
    const kept: { ask: OpenAsk; promise: Promise<unknown>; n: number }[] = [];
    for (let n = 0; n < 5_000; n += 1) {
      const { ask, promise } = open();
      assert.not.ok(ids.has(ask.id), 'an id is given once');
      ids.add(ask.id);
      if (n % 7 === 0) kept.push({ ask, promise, n });
      else asks.resolve(ask.id, n);
      assert.is(asks.isOpen(ask), n % 7 === 0);
    }
    assert.is(asks.size, kept.length);
    for (const { ask, n } of kept) asks.resolve(ask.id, n);
    for (const { ask, promise, n } of kept) {
      assert.is(await promise, n);
      assert.not.ok(asks.isOpen(ask));
      asks.resolve(ask.id, 'a second reply is nobody’s');
    }
    assert.is(asks.size, 0);
  } finally {
    asks.stop();
  }
});

test.run();
