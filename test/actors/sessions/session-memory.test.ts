/** The memory of a thread's sessions against a model: never above its bound but for the text in use, the oldest use goes first. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type HeldText, SessionMemory } from '../../../actors/sessions/session-memory.ts';

const test = suite('actors/sessions/session-memory');

class Text implements HeldText {
  previous: HeldText | undefined = undefined;
  next: HeldText | undefined = undefined;
  heldBytes = 0;
  readonly name: number;
  readonly #given: number[];

  constructor(name: number, given: number[]) {
    this.name = name;
    this.#given = given;
  }

  giveBack(): void {
    this.#given.push(this.name);
  }
}

const MAX_BYTES = 100;

test('whatever is held and let go, the bound holds, and what was used longest ago is given back first', () => {
  const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(120)), { maxLength: 100 });
  void fc.assert(
    fc.property(steps, (picks) => {
      const memory = new SessionMemory(MAX_BYTES);
      const given: number[] = [];
      const texts = Array.from({ length: 6 }, (_, name) => new Text(name, given));
      /** The one used longest ago first. */
      let model: { readonly name: number; readonly bytes: number }[] = [];
      const sum = () => model.reduce((total, { bytes }) => total + bytes, 0);
      const expected: number[] = [];
      let counted = { times: 0, bytes: 0 };
      for (const [name, bytes] of picks) {
        memory.hold(texts[name] as Text, bytes);
        model = model.filter((one) => one.name !== name);
        if (bytes > 0) model.push({ name, bytes });
        while (sum() > MAX_BYTES && model.length > 1) {
          const oldest = model.shift();
          if (oldest === undefined) break;
          expected.push(oldest.name);
          counted = { times: counted.times + 1, bytes: counted.bytes + oldest.bytes };
        }
        assert.equal(given, expected);
        assert.is(memory.bytes, sum());
        assert.ok(memory.bytes <= Math.max(MAX_BYTES, model.at(-1)?.bytes ?? 0));
        assert.equal(memory.givenBack, counted);
      }
      memory.noted();
      assert.equal(memory.givenBack, { times: 0, bytes: 0 });
    }),
    { numRuns: 300 },
  );
});

test.run();
