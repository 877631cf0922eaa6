/** One model for all runs of a thread, opened anew when its key is refused: the key may have been rotated. It reads no key. */
import type { Model, ModelOutcome } from '../connectors/models/model.ts';
import { codeOf, messageOf } from '../runtime/errors.ts';
import type { ModelWatch } from './model-watch.ts';

interface Opened {
  readonly model: Model;
  /** Its key was read after a refusal and has not worked yet: another refusal is final. */
  isSecondTry: boolean;
}

/**
 * What `openModel` of a thread is. A refused key is transient once, so that the run asks again with the key as it is
 * then; a key that is refused right after it was read is permanent, and the next run reads it again. `watch` hears how
 * each call ended.
 */
export function keepModel(
  open: () => Promise<Model>,
  watch: ModelWatch,
): () => Model | Promise<Model> {
  let kept: Model | Promise<Model> | undefined;
  let wasRefused = false;
  const threw = (error: unknown): never => {
    // Its message may hold whatever a library met.
    watch.failed(codeOf(error));
    throw error;
  };
  const openAnew = async (): Promise<Model> => {
    const opened: Opened = { model: await open(), isSecondTry: wasRefused };
    const heard = (outcome: ModelOutcome): ModelOutcome => {
      watch.heard(outcome);
      if (outcome.type === 'permanent' && outcome.isKeyRefused === true) return refused(outcome);
      if (outcome.type === 'answer') {
        opened.isSecondTry = false;
        wasRefused = false;
      }
      return outcome;
    };
    const answering: Model = {
      answer: (request, options) => opened.model.answer(request, options).then(heard, threw),
    };
    const refused = ({ reason }: { readonly reason: string }): ModelOutcome => {
      if (kept === answering) {
        kept = undefined;
        wasRefused = true;
      }
      return { type: opened.isSecondTry ? 'permanent' : 'transient', reason };
    };
    kept = answering;
    return answering;
  };
  return () => {
    // One that could not be opened is tried anew: its key may be there by then.
    kept ??= openAnew().catch((error: unknown) => {
      kept = undefined;
      watch.failed(messageOf(error));
      throw error;
    });
    return kept;
  };
}
