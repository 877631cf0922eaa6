/** The Telegram fake as a process of its own: its log of accepted messages outlives every gateway. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type {
  AcceptedMessage,
  PushedMessage,
  TelegramFault,
} from '../../connectors/fakes/telegram/index.ts';
import { within } from '../support/within.ts';

export interface FaultOf {
  readonly method?: string;
  readonly skip?: number;
  readonly times?: number;
  readonly fault: TelegramFault;
}

export interface TelegramProcess {
  readonly url: string;
  /** Everything accepted so far, oldest first. */
  accepted(): Promise<readonly AcceptedMessage[]>;
  script(rules: readonly FaultOf[]): Promise<void>;
  clear(): Promise<void>;
  push(message: PushedMessage): Promise<void>;
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../../connectors/fakes/telegram/main.js', import.meta.url));
const ANSWER_MS = 20_000;

export async function startTelegramProcess(): Promise<TelegramProcess> {
  // It ends when the pipe of its stdin does: also when the test is killed.
  const child = spawn(process.execPath, [MAIN, '--until-stdin-ends'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = await within(
    'the fake listens',
    new Promise<string>((resolve) => {
      child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text));
    }),
    ANSWER_MS,
  );
  const { url } = JSON.parse(line) as { url: string };
  const log: AcceptedMessage[] = [];
  const ask = async (name: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}/__fake/${name}`, {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!response.ok) throw new Error(`${name}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    url,
    async accepted() {
      for (;;) {
        const { total, messages } = (await ask(`accepted?since=${log.length}`)) as {
          total: number;
          messages: AcceptedMessage[];
        };
        log.push(...messages);
        if (log.length >= total) return log;
      }
    },
    script: async (rules) => void (await ask('script', rules)),
    clear: async () => void (await ask('clear', {})),
    push: async (message) => void (await ask('push', message)),
    async stop() {
      child.stdin.end();
      await within('the end of the fake', ended, ANSWER_MS);
    },
  };
}
