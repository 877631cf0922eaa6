/** A model is kept between runs until its key is refused; then the next call reads the key anew. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { keepModel } from '../../cli/kept-model.ts';
import { ModelWatch } from '../../cli/model-watch.ts';
import type { Model, ModelOutcome } from '../../connectors/models/model.ts';

const REQUEST = { runId: 'r', turns: [] };

function watchInto(lines: string[]): ModelWatch {
  return new ModelWatch((level, message, fields) =>
    lines.push(`${level} ${message}: ${fields?.reason ?? fields?.failedCalls}`),
  );
}

/** A provider that takes one key, and a place where the key is read. */
function world() {
  const seen = { stored: 'old', taken: 'old', reads: 0 };
  const lines: string[] = [];
  const watch = watchInto(lines);
  const openModel = keepModel(async (): Promise<Model> => {
    const key = seen.stored;
    seen.reads += 1;
    return {
      answer: async (): Promise<ModelOutcome> =>
        key === seen.taken
          ? { type: 'answer', text: key, promptTokens: 0, completionTokens: 0 }
          : { type: 'permanent', reason: `${key} is refused`, isKeyRefused: true },
    };
  }, watch);
  const call = async () => (await (await openModel()).answer(REQUEST, new AbortController())).type;
  return { seen, lines, openModel, call };
}

const test = suite('kept model');

test('it is opened once for many calls', async () => {
  const { seen, call } = world();
  assert.equal([await call(), await call(), await call()], ['answer', 'answer', 'answer']);
  assert.is(seen.reads, 1);
});

test('once it is open there is nothing to wait for', async () => {
  const { openModel } = world();
  assert.instance(openModel(), Promise);
  const model = await openModel();
  assert.is(openModel(), model);
});

test('a rotated key is transient once, and the next call has the new one', async () => {
  const { seen, call } = world();
  assert.is(await call(), 'answer');
  for (const key of ['new', 'newer']) {
    Object.assign(seen, { stored: key, taken: key });
    assert.equal([await call(), await call()], ['transient', 'answer']);
  }
  assert.is(seen.reads, 3);
});

test('a key that is wrong stays wrong, but is read again each time', async () => {
  const { seen, call } = world();
  seen.stored = 'wrong';
  assert.equal([await call(), await call(), await call()], ['transient', 'permanent', 'permanent']);
  assert.is(seen.reads, 3);
  seen.stored = 'old';
  assert.is(await call(), 'answer');
});

test('every run that held the old key is told to ask again; the new model stays', async () => {
  const { seen, openModel, call } = world();
  const before = await openModel();
  Object.assign(seen, { stored: 'new', taken: 'new' });
  assert.is((await before.answer(REQUEST, new AbortController())).type, 'transient');
  assert.is(await call(), 'answer');
  assert.is((await before.answer(REQUEST, new AbortController())).type, 'transient');
  assert.is(await call(), 'answer');
  assert.is(seen.reads, 2);
});

test('a refused key is said once, and that the model answers with the next one', async () => {
  const { seen, lines, call } = world();
  await call();
  assert.equal(lines, []);
  seen.taken = 'new';
  await call();
  await call();
  assert.equal(lines, ['warn the model gives no answer: old is refused']);
  seen.stored = 'new';
  await call();
  await call();
  assert.equal(lines.slice(1), ['info the model answers again: 2']);
});

test('a model that throws is said by its code, and its error is the call’s', async () => {
  const lines: string[] = [];
  const answer = () => Promise.reject(Object.assign(new Error('broken'), { code: 'EBROKEN' }));
  const model = await keepModel(async () => ({ answer }), watchInto(lines))();
  await model.answer(REQUEST, new AbortController()).then(
    () => assert.unreachable(),
    (error: unknown) => assert.is((error as Error).message, 'broken'),
  );
  assert.equal(lines, ['warn the model gives no answer: EBROKEN']);
});

test('one that cannot be opened is tried anew, and said once', async () => {
  let tries = 0;
  const lines: string[] = [];
  const openModel = keepModel(async () => {
    tries += 1;
    throw new Error('no key');
  }, watchInto(lines));
  for (const wanted of [1, 2]) {
    await Promise.resolve(openModel()).then(
      () => assert.unreachable(),
      () => assert.is(tries, wanted),
    );
  }
  assert.equal(lines, ['warn the model gives no answer: no key']);
});

test.run();
