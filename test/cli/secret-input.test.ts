/** How a secret comes in: whole from a pipe, or typed on a terminal that shows none of it and is left as it was. */
import { PassThrough } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSecret, type SecretInput } from '../../cli/secret-input.ts';
import { codeOf } from '../../runtime/errors.ts';

const test = suite('cli: secret input');
const never = () => assert.unreachable('nobody types');

function piped(...parts: readonly (string | Uint8Array)[]) {
  const input: SecretInput = new PassThrough();
  for (const part of parts) (input as PassThrough).write(part);
  (input as PassThrough).end();
  return readSecret(input, never, never);
}

/** What the terminal showed, its modes, and what came of the keys. */
async function typed(...keys: readonly string[]) {
  const seen: string[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (isRaw: boolean) => seen.push(isRaw ? 'raw' : 'cooked'),
  });
  const reading = readSecret(
    input,
    () => seen.push('prompt'),
    () => seen.push('line'),
  );
  for (const key of keys) input.write(key);
  const result = await reading.catch(codeOf);
  return { result, seen };
}

test('a pipe is read to its end, without the last line break', async () => {
  assert.is(await piped('one ', 'two\n'), 'one two');
  assert.is(await piped('lines\nof it\r\n'), 'lines\nof it');
  assert.is(await piped(Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)), 'ü');
});

test('what is empty, too long or no text is refused without being repeated', async () => {
  for (const given of ['', '\n', 'x'.repeat(65_537), Buffer.from([0xff])]) {
    const error = await piped(given).catch((refusal: unknown) => refusal);
    assert.is(codeOf(error), 'bad_secret');
    assert.not.match(String(error), /xx/);
  }
  assert.is((await piped(`${'x'.repeat(65_536)}\r\n`)).length, 65_536);
});

test('a line is typed unseen, and the terminal is left as it was', async () => {
  const { result, seen } = await typed('se', 'cret\r', 'not of it');
  assert.is(result, 'secret');
  assert.equal(seen, ['prompt', 'raw', 'cooked', 'line']);
});

test('backspace, Ctrl-U and Ctrl-D do what they do in a shell', async () => {
  assert.is((await typed('wrong\u0015sexü\u007f\u007fcret\u0004')).result, 'secret');
});

test('Ctrl-C stores nothing and leaves the terminal as it was', async () => {
  const { result, seen } = await typed('half\u0003');
  assert.is(result, 'interrupted');
  assert.equal(seen, ['prompt', 'raw', 'cooked', 'line']);
});

test.run();
