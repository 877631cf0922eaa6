/** How fast does an actor of the same thread answer? A hundred questions at once, against nact's `query`. A good number is 5. */
import type { BenchCase, Contest } from './bench-case.ts';
import { openInline, startOne } from './open-system.ts';
import { createNactPeer } from './peers/nact.ts';
import { echoActor } from './players.ts';

const ASKS = 100_000;
const PEER_ASKS = 20_000;
const IN_FLIGHT = 100;
const MINUTE = { inMs: 60_000 };

export const localAsk: BenchCase = {
  name: 'local-ask',
  unit: 'answers/s',
  peerName: 'nact query',
  bar: 5,
  async open(scale): Promise<Contest> {
    const system = await openInline();
    const echo = await startOne(system, echoActor, 'echo', null);
    const nact = createNactPeer();
    return {
      async ours() {
        for (let done = 0; done < ASKS * scale; done += IN_FLIGHT) {
          const batch = Array.from({ length: IN_FLIGHT }, (_, i) =>
            system.ask(echo, 'number', i, MINUTE),
          );
          await Promise.all(batch);
        }
        return ASKS * scale;
      },
      peer: () => nact.ask(PEER_ASKS * scale, IN_FLIGHT),
      async close() {
        nact.close();
        await system.stop();
      },
    };
  },
};
