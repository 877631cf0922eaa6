/** The whole pipeline over a restart with the wall clock set back: what is told by order stays in the order of acceptance. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseRunRow, parseTurnRow, RUNS, TURNS } from '../../actors/sessions/rows.ts';
import { PowerLossStore } from '../../runtime/store/power-loss.ts';
import {
  CONVERSATIONS,
  Disk,
  loadActors,
  postSimulated,
  type Simulated,
  startSimulated,
  step,
} from './simulated-gateway.ts';
import { Platform } from './simulated-platform.ts';

const test = suite('sim: wall clock');
const HOUR_MS = 3_600_000;
const NOON_MS = 1_800_000_000_000;
const MESSAGES_A_LIFE = 3;
const MOST_STEPS = 20_000;

test.before(loadActors);

async function stepUntil(life: Simulated, isThere: () => boolean): Promise<void> {
  for (let i = 0; i < MOST_STEPS; i += 1) {
    if (isThere()) return;
    await step(life.host);
  }
  throw new Error('it never came to be');
}

test('a clock an hour back after a restart changes no order of turns and runs', async () => {
  const platform = new Platform();
  let life: Simulated | undefined;
  const disk = new Disk(
    new PowerLossStore({ schedule: (flush) => void life?.host.setTimer(1, flush) }),
  );
  const sent: string[] = [];
  for (const wallMs of [NOON_MS, NOON_MS - HOUR_MS]) {
    const alive = await startSimulated({ seed: 7, wallMs, disk, platform });
    life = alive;
    await stepUntil(alive, () => alive.ports() !== undefined);
    for (let n = 0; n < MESSAGES_A_LIFE; n += 1) {
      const id = `msg_${sent.length}`;
      sent.push(id);
      let isAccepted = false;
      const ports = alive.ports();
      assert.ok(ports);
      const message = { id, conversation: CONVERSATIONS[0] ?? '', text: `text of ${id}` };
      void postSimulated(ports, alive.host, message).then(({ type }) => {
        isAccepted = type === 'accepted';
      });
      await stepUntil(alive, () => isAccepted);
    }
    const runs = () => disk.store.keys({ table: RUNS, limit: 100 }).keys.length;
    await stepUntil(alive, () => runs() === sent.length);
    alive.host.halt();
    disk.cutPower(1);
  }
  const texts = sent.map((id) => `text of ${id}`);
  const { rows: turns } = disk.store.scan({ table: TURNS, limit: 100 });
  assert.equal(
    turns.map(({ row }) => parseTurnRow(row).turns[0]?.text),
    texts,
  );
  // Runs of one millisecond stand in any order, but none of the second life before one of the first.
  const { rows: runs } = disk.store.scan({ table: RUNS, limit: 100 });
  const asked = runs.map((stored) => parseRunRow(stored).row.tape[0]?.text ?? '');
  const first = texts.slice(0, MESSAGES_A_LIFE);
  assert.equal(asked.slice(0, MESSAGES_A_LIFE).sort(), first);
});

test.run();
