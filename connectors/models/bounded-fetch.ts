/** A `fetch` whose answers end at 8 MiB, of whatever status: the client library above it reads each of them into memory. */

/** A run keeps 128 KiB of an answer; the rest is room for what a model thought and for the JSON around it. */
const MAX_ANSWER_BYTES = 8 * 1_024 * 1_024;

/** The cause of what a reader of the body gets, or thrown at once where the head says that it is too large. */
export class AnswerTooLargeError extends Error {
  constructor() {
    super('the answer is larger than 8 MiB');
    this.name = 'AnswerTooLargeError';
  }
}

/** As the global one. A body that is too large is broken off, and its connection with it. */
export const boundedFetch: typeof fetch = async (input, init) => {
  const answer = await fetch(input, init);
  if (answer.body === null) return answer;
  if (Number(answer.headers.get('content-length')) > MAX_ANSWER_BYTES) {
    await answer.body.cancel();
    throw new AnswerTooLargeError();
  }
  return new Response(answer.body.pipeThrough(countBytes()), answer);
};

function countBytes(): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(part, controller) {
      bytes += part.byteLength;
      if (bytes > MAX_ANSWER_BYTES) throw new AnswerTooLargeError();
      controller.enqueue(part);
    },
  });
}
