/** An actor that is reminded, and keeps what it heard over its restarts. */
import { defineActor, type ReminderTime } from '../../../runtime/actor.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { remindersIn } from '../../../runtime/state/protocol.ts';

export interface Ring {
  readonly note: string;
  readonly incarnation: number;
  readonly atWallMs: number;
}

export interface AlarmProtocol {
  /** '' or the code of the refusal. */
  set(alarm: {
    readonly name: string;
    readonly when: ReminderTime;
    readonly note: unknown;
  }): string;
  /** The codes of so many, each with a name of its own. */
  setMany(count: number): string[];
  setKind(kind: string): string;
  cancel(name: string): string;
  rings(nothing: null): Ring[];
  /** Sets one that is due at once, and ends before it can come. */
  setAndEnd(how: 'crash' | 'exit'): void;
}

interface Own {
  /**
   * One that begins with `fatal` is handled the third time; one with `never`, never; one with `odd` returns a function; one
   * with `held` is done when `release` is called, in whatever thread; one with `list` asks which reminders there are.
   */
  ring(note: string): unknown;
}

const RELEASE = 'alarm-actor';
const ONE = { after: '', limit: 1 };
const IN_20S = { inMs: 20_000 };
const HOUR_MS = 3_600_000;

/** The notes that came in this thread: what is known of an actor whose system was stopped dead. */
export const notesHere: string[] = [];

export const alarmActor = defineActor<AlarmProtocol, Own, null, Ring[], unknown>({
  module: import.meta.url,
  export: 'alarmActor',
  name: 'alarm',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  reminders: true,
  start: async (self) => (await self.state.load<Ring[]>()) ?? [],
  receive: {
    set: (_rings, { name, when, note }, self) =>
      coded(self.remind(name, when, 'ring', note as string)),
    setMany: (_rings, count, self) =>
      Promise.all(
        Array.from({ length: count }, (_, n) =>
          coded(self.remind(`n${n}`, { afterMs: HOUR_MS }, 'ring', `${n}`)),
        ),
      ),
    setKind: (_rings, kind, self) =>
      coded(self.remind('kind', { afterMs: HOUR_MS }, kind as 'ring', '')),
    cancel: (_rings, name, self) => coded(self.cancelReminder(name)),
    // A copy: what is answered is frozen.
    rings: (rings) => [...rings],
    async ring(rings, note, self) {
      // It listens from the moment in which it can be seen to be handled.
      const mayGoOn = note.startsWith('held') ? released() : undefined;
      notesHere.push(note);
      rings.push({ note, incarnation: self.incarnation, atWallMs: self.clock.wallMs() });
      await self.state.save(rings, { durability: 'memory' });
      const times = rings.filter((ring) => ring.note === note).length;
      if (note.startsWith('never') || (note.startsWith('fatal') && times < 3))
        throw new Error('told to');
      await mayGoOn;
      if (note.startsWith('list')) await self.ask(remindersIn('t'), 'listReminders', ONE, IN_20S);
      return note.startsWith('odd') ? () => undefined : undefined;
    },
    async setAndEnd(_rings, how, self) {
      await self.remind('egg', { afterMs: 0 }, 'ring', 'egg');
      if (how === 'exit') process.exit(3);
      throw new Error('told to');
    },
  },
});

/** Lets every handler of this process go on that waits for it. */
export function release(): void {
  const channel = new BroadcastChannel(RELEASE);
  channel.postMessage(null);
  channel.close();
}

function released(): Promise<void> {
  const channel = new BroadcastChannel(RELEASE);
  return new Promise((resolve) => {
    channel.onmessage = () => {
      channel.close();
      resolve();
    };
  });
}

/** The same with room for one message, beyond which it drops them. */
export const droppingActor: typeof alarmActor = {
  ...alarmActor,
  export: 'droppingActor',
  mailbox: { limitMessages: 1, overflow: 'drop-newest' },
};

/** The same, but for what its definition says. */
export const deafActor = { ...alarmActor, export: 'deafActor', reminders: false };

function coded(work: Promise<void>): Promise<string> {
  return work.then(() => '', codeOf);
}
