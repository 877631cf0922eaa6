/** What every model keeps, whatever its provider. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model, ModelTurn } from '../../connectors/models/model.ts';
import { within } from '../connectors/within.ts';
import { skipTest } from '../support/skip.ts';

export interface ModelRig {
  readonly model: Model;
  /** The next call gets no answer until it is given up. */
  hang(): void;
  stop(): Promise<void>;
}

export interface ModelFixture {
  /** A model that answers with the text of the last user turn. */
  start(): Promise<ModelRig>;
  /** '' where a call can hang; else why not. */
  readonly noHang: string;
}

const never = () => new AbortController();
const user = (text: string): ModelTurn => ({ role: 'user', text });

export function modelContract(name: string, fixture: ModelFixture): void {
  const test = suite(`model contract: ${name}`);

  const withModel = async (work: (rig: ModelRig) => Promise<void>) => {
    const rig = await fixture.start();
    try {
      await work(rig);
    } finally {
      await rig.stop();
    }
  };

  test('a user turn is answered with text and whole, non-negative token counts', () =>
    withModel(async ({ model }) => {
      const outcome = await within(
        'the answer',
        model.answer({ runId: 'r1', turns: [user('what is 2 + 2?')] }, never()),
      );
      assert.is(outcome.type, 'answer');
      if (outcome.type !== 'answer') return;
      assert.is(outcome.text, 'what is 2 + 2?');
      for (const tokens of [outcome.promptTokens, outcome.completionTokens]) {
        assert.ok(Number.isInteger(tokens) && tokens >= 0);
      }
    }));

  test('earlier turns of every role are taken; the last user turn is what is answered', () =>
    withModel(async ({ model }) => {
      const turns: ModelTurn[] = [
        { role: 'system', text: 'be brief' },
        user('first'),
        { role: 'assistant', text: 'one' },
        user('second 😀'),
      ];
      const outcome = await within('the answer', model.answer({ runId: 'r1', turns }, never()));
      assert.ok(outcome.type === 'answer' && outcome.text === 'second 😀');
    }));

  test('calls do not disturb each other', () =>
    withModel(async ({ model }) => {
      const texts = ['a', 'b', 'c', 'd'];
      const outcomes = await within(
        'all answers',
        Promise.all(
          texts.map((text) => model.answer({ runId: text, turns: [user(text)] }, never())),
        ),
      );
      const answers = outcomes.map((outcome) => outcome.type === 'answer' && outcome.text);
      assert.equal(answers, texts);
    }));

  const hangs = 'a call that hangs ends with its signal';
  if (fixture.noHang !== '') skipTest(test, hangs, fixture.noHang);
  else {
    test(hangs, () =>
      withModel(async ({ model, hang }) => {
        hang();
        const abort = new AbortController();
        const answering = model.answer({ runId: 'r1', turns: [user('hello')] }, abort);
        setTimeout(() => abort.abort(), 20);
        assert.is((await within('the end', answering)).type, 'transient');
        const late = { signal: AbortSignal.abort() };
        const aborted = model.answer({ runId: 'r2', turns: [user('hello')] }, late);
        assert.is((await within('the end', aborted)).type, 'transient');
      }),
    );
  }

  test.run();
}
