/** Memory that moves with messages, inline and over threads: runtime/SEMANTICS.md M11, M12, M13. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, refTo, transfer } from '../../runtime/index.ts';
import { pack, unpack } from '../../runtime/transfer.ts';
import { until, within } from '../support/within.ts';
import { type CarrierProtocol, carrierActor, look } from './support/carrier-actor.ts';
import { MODES, withTree } from './support/system.ts';

const a = refTo<CarrierProtocol>('t', 'root/a');
const b = refTo<CarrierProtocol>('t', 'root/b');
const here = refTo<CarrierProtocol>('t', 'root/here');
const nobody = refTo<CarrierProtocol>('t', 'root/nobody');
const CARRIERS = [
  child(carrierActor, { id: 'a', args: null, placement: { hash: 'a' } }),
  child(carrierActor, { id: 'b', args: null, placement: { hash: 'b' } }),
  child(carrierActor, { id: 'here', args: null, placement: 'main' }),
];
const IN_2S = { inMs: 2_000 };
const filled = (bytes: number, byte = 7) => new Uint8Array(bytes).fill(byte);
const isRefusal = (error: unknown) => (error as { code?: string }).code === 'bad_transfer';
const codeOf = (ask: Promise<unknown>) =>
  ask.then(
    () => 'no error',
    ({ code }: { code: string }) => code,
  );

for (const mode of MODES) {
  const test = suite(`transfer, ${mode}`);
  const it = (title: string, work: Parameters<typeof withTree>[2]) =>
    test(title, () => within(title, withTree(mode, { children: CARRIERS }, work), 20_000));

  for (const [where, to] of [
    ['another thread', a],
    ['the same thread', here],
  ] as const) {
    it(`M11 to ${where}: it arrives whole, of its type, at any depth, and the sender has none left`, async ({
      system,
    }) => {
      const bytes = filled(1_048_576);
      const floats = new Float64Array(3).fill(2);
      const { buffer } = filled(50, 3);
      const plain = filled(20_000, 4);
      const list = [{ bytes: transfer(bytes) }, { floats: transfer(floats) }];
      const message = { list, buffer: transfer(buffer), plain };
      const asked = system.ask(to, 'see', message, IN_2S);
      assert.equal([bytes.length, floats.length, buffer.byteLength], [0, 0, 0]);
      assert.is(plain.length, 20_000);
      assert.equal(await asked, [
        ['Uint8Array', 1_048_576, 7],
        ['Float64Array', 24, 0],
        ['ArrayBuffer', 50, 3],
        ['Uint8Array', 20_000, 4],
      ]);
      const file = Buffer.alloc(5_000, 6);
      assert.equal(await system.ask(to, 'see', transfer(file), IN_2S), [['Uint8Array', 5_000, 6]]);
      assert.is(file.length, 0);
    });

    it(`M11 from ${where}: a reply takes memory along too`, async ({ system }) => {
      const { bytes, views } = await system.ask(to, 'give', 100_000, IN_2S);
      assert.equal(look(bytes), ['Uint8Array', 100_000, 5]);
      assert.equal(views, [new Float64Array(2).fill(1.5)]);
      assert.is(await codeOf(system.ask(to, 'giveTwice', null, IN_2S)), 'not_encodable');
    });

    it(`M11 to ${where}: it keeps its place among the messages of its sender`, async ({
      system,
    }) => {
      for (const n of [1, 2, 3]) {
        const bytes = filled(30_000, n);
        system.tell(to, 'keep', { bytes: n === 2 ? bytes : transfer(bytes) });
      }
      const kept = await system.ask(to, 'kept', null, IN_2S);
      assert.equal(
        kept.map(([, length, first]) => [length, first]),
        [1, 2, 3].map((n) => [30_000, n]),
      );
    });
  }

  it('M11 between two actors memory moves as it does from the host', async ({ system }) => {
    for (const to of [b, a]) {
      assert.equal(await system.ask(a, 'passTo', to, IN_2S), [true, ['Uint8Array', 0, -1]]);
      const kept = () => system.ask(to, 'kept', null, IN_2S);
      await until('it is there', async () => (await kept()).length === 1);
      assert.equal(await kept(), [['Uint8Array', 100, 9]]);
    }
  });

  it('M12 the same memory twice is refused before anything is sent, asked or moved', async ({
    system,
  }) => {
    const before = (await system.inspect()).counters;
    for (const to of [a, here, nobody]) {
      const bytes = filled(100);
      const twice = () => ({ bytes: transfer(bytes), again: { view: transfer(bytes.buffer) } });
      assert.throws(() => system.tell(to, 'keep', twice()), isRefusal);
      assert.throws(() => system.ask(to, 'see', twice(), IN_2S), isRefusal);
      assert.is(bytes.length, 100);
    }
    const { counters } = await system.inspect();
    assert.is(counters.asks_open, before.asks_open);
    assert.is(counters.dead_letters, before.dead_letters);
    assert.equal(await system.ask(a, 'kept', null, IN_2S), []);
  });

  it('M12 memory that was marked and then moved by somebody else is refused', async ({
    system,
  }) => {
    const bytes = filled(100);
    const message = { bytes: transfer(bytes) };
    structuredClone(bytes, { transfer: [bytes.buffer] });
    assert.throws(() => system.tell(a, 'keep', message), isRefusal);
  });

  it('M13 memory is gone if and only if its message was taken', async ({ system, events }) => {
    for (const to of [a, here]) {
      const parked = system.tell(to, 'park', 300);
      assert.ok(parked);
      const taken = [0, 1, 2, 3, 4, 5, 6, 7].filter((n) => {
        const bytes = filled(1_000, n);
        const isTaken = system.tell(to, 'keep', { bytes: transfer(bytes) });
        assert.is(bytes.length, isTaken ? 0 : 1_000);
        return isTaken;
      });
      const lost = () =>
        events.filter((event) => event.type === 'dead_letter' && event.kind === 'keep').length;
      const kept = async () => (await system.ask(to, 'kept', null, IN_2S).catch(() => [])).length;
      await until('each is kept or a dead letter', async () => {
        const count = await kept();
        return count > 0 && count + lost() === taken.length;
      });
      events.splice(0);
    }
  });

  it('M13 what is refused at the call can be sent again as it is', async ({ system }) => {
    const bytes = filled(100);
    const message = { bytes: transfer(bytes) };
    assert.is(system.tell(nobody, 'keep', message), false);
    assert.is(await codeOf(system.ask(nobody, 'see', message, IN_2S)), 'actor_dead');
    assert.is(bytes.length, 100);
    assert.ok(system.tell(here, 'keep', message));
    assert.is(bytes.length, 0);
  });

  it('M13 memory beside what has no form is gone with its message', async ({ system }) => {
    const bytes = filled(100);
    const message = { bytes: transfer(bytes), formless: Symbol('x') };
    assert.is(await codeOf(system.ask(a, 'see', message, IN_2S)), 'not_encodable');
    assert.is(bytes.length, 0);
    const [[, length, first] = []] = await system.ask(a, 'see', { bytes: filled(9) }, IN_2S);
    assert.equal([length, first], [9, 7], 'the next one arrives');
  });

  test.run();
}

const threads = suite('transfer, between threads only');

threads('M8 M11 memory that waits for credit is bounded', async () => {
  await withTree('threads', { children: CARRIERS }, async ({ system }) => {
    await system.ask(a, 'kept', null, IN_2S);
    const last = filled(1_048_576);
    let taken = 0;
    while (taken < 100 && system.tell(a, 'keep', { bytes: transfer(filled(1_048_576)) }))
      taken += 1;
    assert.ok(taken >= 8 && taken <= 17, `${taken} MiB`);
    assert.is(system.tell(a, 'keep', { bytes: transfer(last) }), false);
    assert.is(last.length, 1_048_576);
    await until('there is room again', () => system.tell(a, 'keep', { bytes: transfer(last) }));
  });
});

threads.run();

const marks = suite('what is marked');

marks('M12 what cannot be moved is refused when it is marked', () => {
  const moved = filled(10);
  structuredClone(moved, { transfer: [moved.buffer] });
  const refused: readonly unknown[] = [
    moved,
    moved.buffer,
    Buffer.from('a part of the pool'),
    filled(100).subarray(1),
    new DataView(filled(100).buffer, 50),
    new SharedArrayBuffer(8),
    new Uint8Array(new SharedArrayBuffer(8)),
    { byteLength: 8 },
    'text',
    null,
  ];
  for (const value of refused) assert.throws(() => transfer(value as Uint8Array), isRefusal);
});

marks('a message is looked through without harm', () => {
  const bytes = transfer(filled(10));
  const circle: Record<string, unknown> = { bytes: null };
  circle.self = circle;
  const unreadable = {
    get secret(): never {
      throw new Error('no value');
    },
  };
  for (const payload of [circle, unreadable, null, 1, 'text', [undefined]])
    assert.is(pack(payload), payload, 'it holds nothing that is marked');
  circle.bytes = bytes;
  const opened = unpack(pack(circle)) as typeof circle;
  assert.equal(look(opened.bytes as Uint8Array), ['Uint8Array', 10, 7]);
  assert.is(bytes.length, 0);
});

marks('a mark that no message takes is forgotten: messages are not looked through for ever', () => {
  const bytes = transfer(filled(10));
  for (let i = 0; i < 10_000; i += 1) pack(i);
  const message = { bytes };
  assert.is(pack(message), message);
  transfer(bytes);
  assert.is.not(pack(message), message);
});

marks.run();
