/** A model that answers with the text it got: for tests, demonstrations and wiring checks. */
import type { Model, ModelRequest } from './model.ts';

/** Its tokens are words. It reads the last message only, and answers at once: there is nothing to abort. */
export function createEchoModel(): Model {
  return {
    async answer(request) {
      const text = lastUserText(request);
      const words = countWords(text);
      return { type: 'answer', text, promptTokens: words, completionTokens: words };
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
  let words = 0;
  let isInWord = false;
  for (let at = 0; at < text.length; at += 1) {
    // Blank, tab and line ends; what else is blank is rare.
    const isBlank = text.charCodeAt(at) <= 32;
    if (!isBlank && !isInWord) words += 1;
    isInWord = !isBlank;
  }
  return words;
}
