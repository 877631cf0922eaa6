/** How a text is cut for Telegram: lengths, borders, code fences, and nothing lost. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MESSAGE_LIMIT_UNITS, splitText } from '../../../connectors/telegram/index.ts';

const test = suite('telegram limits');

const LIMIT = 256;
const visible = (text: string) => text.replace(/\s/g, '');
const withoutFenceLines = (text: string) =>
  visible(
    text
      .split('\n')
      .filter((line) => !/^(```|~~~)/.test(line))
      .join('\n'),
  );
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** More than the room that a piece keeps for the line that opens its fence. */
const LONG_INFO = 'ts title="src/components/Button/Button.stories.tsx"';

const word = fc.string({
  unit: fc.constantFrom('a', 'b', 'é', 'ж', '字', '😀', '1', '.', ','),
  minLength: 1,
  maxLength: 14,
});
const line = fc.array(word, { minLength: 1, maxLength: 14 }).map((words) => words.join(' '));
const paragraph = fc.array(line, { minLength: 1, maxLength: 5 }).map((lines) => lines.join('\n'));
const codeBlock = fc
  .record({
    marks: fc.constantFrom('```', '````', '~~~'),
    language: fc.constantFrom('', 'ts', 'python', 'js title="a b c d e f"', LONG_INFO),
    body: fc.array(
      fc.oneof(
        line,
        fc.constant(''),
        fc.string({ unit: fc.constantFrom('x', '='), minLength: 200, maxLength: 600 }),
      ),
      { maxLength: 12 },
    ),
  })
  .map(({ marks, language, body }) => [`${marks}${language}`, ...body, marks].join('\n'));
const document = fc
  .array(fc.oneof(paragraph, codeBlock), { minLength: 1, maxLength: 10 })
  .map((blocks) => blocks.join('\n\n'));

/** The fence left open at the end of a piece, read by itself. */
function openFence(piece: string): string {
  let open = '';
  for (const text of piece.split('\n')) {
    const marks = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(text);
    if (marks === null) continue;
    if (open === '') open = marks[1] ?? '';
    else if (marks[2]?.trim() === '' && marks[1]?.startsWith(open)) open = '';
  }
  return open;
}

function check(property: fc.IProperty<[string]>, numRuns: number): void {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  try {
    fc.assert(property, { numRuns, seed });
  } catch (error) {
    console.error(`SEED=${seed}`);
    throw error;
  }
}

test('a text within the limit is one piece, as it is', () => {
  assert.is(MESSAGE_LIMIT_UNITS, 4_096);
  const text = `${'x'.repeat(4_000)}\n\n${'y'.repeat(94)}`;
  assert.equal(splitText(text), [text]);
  assert.equal(splitText(''), ['']);
});

test('any text: no piece is longer than the limit, no surrogate pair is cut, nothing visible is lost', () => {
  const any = fc.string({
    unit: fc.oneof(
      fc.constantFrom('`', '~', '\n', ' ', '```', '\n```', '\n~~~~ x\n', '😀', 'a', '字'),
      fc.string({ minLength: 1, maxLength: 30 }),
    ),
    maxLength: 600,
    size: 'max',
  });
  check(
    fc.property(any, (text) => {
      const pieces = splitText(text, LIMIT);
      assert.ok(pieces.length >= 1);
      assert.equal(splitText(text, LIMIT), pieces);
      for (const piece of pieces) {
        assert.ok(piece.length <= LIMIT, `${piece.length} units`);
        if (!LONE_SURROGATE.test(text)) assert.not.ok(LONE_SURROGATE.test(piece));
        if (visible(text) !== '') assert.is.not(piece.trim(), '');
      }
      const plain = (value: string) => visible(value).replace(/[`~]/g, '');
      const joined = plain(pieces.join('\n'));
      let at = 0;
      for (const character of plain(text)) {
        at = joined.indexOf(character, at) + 1;
        assert.ok(at > 0, `lost ${JSON.stringify(character)}`);
      }
    }),
    400,
  );
});

test('markdown: every piece closes the fences it opens, and reopened ones keep their language', () => {
  check(
    fc.property(document, (text) => {
      const pieces = splitText(text, LIMIT);
      for (const piece of pieces) {
        assert.ok(piece.length <= LIMIT, `${piece.length} units`);
        assert.is(openFence(piece), '', piece);
      }
      assert.is(withoutFenceLines(pieces.join('\n')), withoutFenceLines(text));
    }),
    600,
  );
});

test('text without fences is cut so that the pieces joined are the text', () => {
  check(
    fc.property(
      fc.array(paragraph, { minLength: 1, maxLength: 30 }).map((all) => all.join('\n\n')),
      (text) => assert.is(splitText(text, LIMIT).join(''), text),
    ),
    300,
  );
});

test('a border is sought between paragraphs, then lines, then words', () => {
  const limit = 300;
  const at = (text: string) => splitText(text, limit)[0]?.length;
  const fill = (length: number) => 'x'.repeat(length);
  assert.is(at(`${fill(140)}\n\n${fill(40)}\n${fill(200)}`), 142);
  assert.is(at(`${fill(140)} ${fill(40)}\n${fill(200)}`), 182);
  assert.is(at(`${fill(140)} ${fill(40)} ${fill(200)}`), 182);
  assert.is(at(`\n\n${fill(400)}`), 259);
});

test('a fence that is cut is closed and opened again with its language', () => {
  const code = Array.from({ length: 40 }, (_, nth) => `const value${nth} = ${nth};`).join('\n');
  const pieces = splitText(`Look:\n\n\`\`\`ts\n${code}\n\`\`\`\n\nDone.`, 400);
  assert.ok(pieces.length > 2);
  assert.ok(pieces[0]?.startsWith('Look:\n\n```ts\nconst value0'));
  for (const piece of pieces.slice(0, -1)) assert.ok(piece.endsWith('\n```'), piece);
  for (const piece of pieces.slice(1, -1)) assert.ok(piece.startsWith('```ts\n'), piece);
  assert.ok(pieces.at(-1)?.endsWith('Done.'));
});

test('a fence whose opening line is long is opened again with its marks alone', () => {
  const code = Array.from({ length: 200 }, (_, nth) => `const value${nth} = ${nth};`).join('\n');
  const prose = 'It is done. '.repeat(60);
  const pieces = splitText(`\`\`\`${LONG_INFO}\n${code}\n\`\`\`\n\n${prose}`, 400);
  assert.ok(pieces[0]?.startsWith(`\`\`\`${LONG_INFO}\nconst value0`));
  const withCode = pieces.filter((piece) => piece.includes('const'));
  for (const piece of withCode) assert.match(piece, /^```[^`]*\n```(\n|$)/);
  for (const piece of withCode.slice(1)) assert.ok(piece.startsWith('```\nconst'), piece);
  for (const piece of pieces.slice(withCode.length)) assert.not.match(piece, /```/);
});

test('no border falls inside the marks of a long fence line, and none makes a piece too long', () => {
  const long = `   ~~~${'x'.repeat(120)} y`;
  const ends = `~~~${' '.repeat(120)}`;
  for (let before = 0; before < 300; before += 1) {
    const text = `${'word '.repeat(60).slice(0, before)}\n${long}\n${'f(x);\n'.repeat(before % 60)}${ends}\nThe end.`;
    const pieces = splitText(text, LIMIT);
    for (const piece of pieces) {
      assert.ok(piece.length <= LIMIT, `${piece.length} units`);
      assert.is(openFence(piece), '', piece);
    }
    assert.match(pieces.at(-1) ?? '', /(^|\n)The end\.$/);
  }
});

test('a line of more marks than a fence has is text', () => {
  for (const mark of ['~', '`']) {
    const text = `${mark.repeat(60)}\n${'word '.repeat(120)}`;
    assert.is(splitText(text, LIMIT).join(''), text);
  }
});

test('a border just inside a fence moves out of it, so that no empty fence is sent', () => {
  for (let before = 0; before < 300; before += 1) {
    const text = `${'word '.repeat(60).slice(0, before)}\n\`\`\`js\n${'f(x);\n'.repeat(60)}\`\`\`\n${'tail '.repeat(30)}`;
    for (const piece of splitText(text, LIMIT)) {
      assert.not.match(piece, /```js\n```/);
      assert.is(openFence(piece), '', piece);
    }
  }
});

test('a border just before the end of a fence takes that end along', () => {
  for (let length = 100; length < 400; length += 1) {
    const code = 'g(y);\n'.repeat(100).slice(0, length);
    for (const piece of splitText(`\`\`\`js\n${code}\n\`\`\`\n${'tail '.repeat(80)}`, LIMIT)) {
      assert.not.match(piece, /```js\n```/);
      assert.is(openFence(piece), '', piece);
    }
  }
});

test('a border inside a line that opens a fence moves before it', () => {
  for (let before = 100; before < 300; before += 1) {
    const text = `${'w'.repeat(before)}\n\`\`\`js title="a b c d"\n${'f(x);\n'.repeat(60)}\`\`\``;
    for (const piece of splitText(text, LIMIT)) assert.is(openFence(piece), '', piece);
    assert.is(withoutFenceLines(splitText(text, LIMIT).join('\n')), withoutFenceLines(text));
  }
});

test('marks inside a line open no fence, also where a border falls before them', () => {
  for (let before = 20; before < 60; before += 1) {
    const text = `${'word '.repeat(before)}\`\`\`ts\n${'word '.repeat(90)}`;
    assert.is(splitText(text, LIMIT).join(''), text);
  }
});

test('a run of emoji is cut between characters', () => {
  for (const text of ['😀'.repeat(900), `x${'😀'.repeat(900)}`]) {
    const pieces = splitText(text, LIMIT);
    assert.is(pieces.join(''), text);
    for (const piece of pieces) assert.not.match(piece, LONE_SURROGATE);
  }
});

test('a run of white space longer than a message is left out: Telegram would refuse it', () => {
  const pieces = splitText(`a${'\n'.repeat(9_000)}b`);
  assert.equal(
    pieces.map((piece) => piece.trim()),
    ['a', 'b'],
  );
});

test('a text of 128 KiB is cut in well under a second', () => {
  const text = '```\n'.repeat(200) + 'x y\n'.repeat(32_000);
  const startedAtMs = performance.now();
  assert.ok(splitText(text).length > 30);
  assert.ok(performance.now() - startedAtMs < 1_000);
});

test.run();
