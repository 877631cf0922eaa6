/** A model that answers with the text it got: for tests, demonstrations and wiring checks. */
import type { Model, ModelRequest } from './model.ts';

/** Its tokens are words. */
export function createEchoModel(): Model {
  return {
    async answer(request, signal) {
      if (signal.aborted) return { type: 'transient', reason: 'aborted' };
      const text = lastUserText(request);
      return {
        type: 'answer',
        text,
        promptTokens: request.turns.reduce((sum, turn) => sum + countWords(turn.text), 0),
        completionTokens: countWords(text),
      };
    },
  };
}

function lastUserText({ turns }: ModelRequest): string {
  for (let at = turns.length - 1; at >= 0; at -= 1) {
    const turn = turns[at];
    if (turn?.role === 'user') return turn.text;
  }
  return '';
}

function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== '').length;
}
