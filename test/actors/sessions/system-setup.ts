/** The thread setup of a system with real kernel, ledger and outbox, and a model whose behaviour the text asks for. */
import { DEFAULT_HISTORY_LIMITS } from '../../../actors/sessions/history.ts';
import { SessionMemory } from '../../../actors/sessions/session-memory.ts';
import type { Model } from '../../../connectors/models/model.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ThreadWorld } from '../../../runtime/system.ts';

const model: Model = {
  answer(request) {
    const text = request.turns.at(-1)?.text ?? '';
    // In the same turn as the message that began the run, as a library that overruns its heap would.
    if (text.startsWith('exit')) process.exit(0);
    const heard = request.turns.filter((turn) => turn.role === 'user').map((turn) => turn.text);
    return Promise.resolve({
      type: 'answer',
      text: heard.join(' '),
      promptTokens: 0,
      completionTokens: 0,
    });
  },
};

export function setup(): ThreadWorld {
  const store = createMemoryStore();
  let seed = 0;
  return {
    deps: {
      openStore: async () => store,
      ballast: { ensure: async () => undefined, release: async () => false },
      prepareBackup: async (id: string) => id,
      log: () => undefined,
      sessionMemory: new SessionMemory(),
      historyLimits: DEFAULT_HISTORY_LIMITS,
      openModel: async () => model,
      randomBytes: (size: number) => {
        seed += 1;
        return new Uint8Array(size).fill(seed % 256);
      },
    },
  };
}
