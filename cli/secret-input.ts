/** Reads a secret from stdin: all of a file or pipe, or a line that a person types and nobody sees. It keeps none. */
import type { Readable } from 'node:stream';
import { CliError, EXIT } from './exit-codes.ts';

/** `process.stdin`, or a stand-in for it. */
export interface SecretInput extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
}

const MAX_SECRET_BYTES = 65_536;
const KEY = {
  interrupt: '\u0003',
  end: '\u0004',
  backspace: '\b',
  delete: '\u007f',
  clear: '\u0015',
};

/** Throws `bad_secret` for what is empty, too long or no text, and `interrupted` for Ctrl-C. */
export async function readSecret(
  input: SecretInput,
  beforeTyping: () => void,
  afterTyping: () => void,
): Promise<string> {
  const isTyped = input.isTTY === true;
  const secret = isTyped
    ? await typeLine(input, beforeTyping, afterTyping)
    : toText(await readAll(input)).replace(/\r?\n$/, '');
  if (secret === '') throw badSecret('it is empty');
  if (Buffer.byteLength(secret) > MAX_SECRET_BYTES) throw tooLong();
  return secret;
}

async function readAll(input: SecretInput): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of input) {
    parts.push(Buffer.from(part));
    bytes += parts.at(-1)?.length ?? 0;
    // And its line break.
    if (bytes > MAX_SECRET_BYTES + 2) throw tooLong();
  }
  return Buffer.concat(parts);
}

function toText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badSecret('it is not UTF-8 text');
  }
}

/** The terminal shows nothing and edits nothing meanwhile. */
function typeLine(
  input: SecretInput,
  beforeTyping: () => void,
  afterTyping: () => void,
): Promise<string> {
  const typed: string[] = [];
  beforeTyping();
  input.setRawMode?.(true);
  input.setEncoding('utf8');
  return new Promise<string>((resolve, reject) => {
    const take = (part: string) => {
      for (const character of part) {
        if (character === '\r' || character === '\n' || character === KEY.end) return end();
        if (character === KEY.interrupt) return reject(interrupted());
        if (character === KEY.backspace || character === KEY.delete) typed.pop();
        else if (character === KEY.clear) typed.length = 0;
        else if (character >= ' ') typed.push(character);
        if (typed.length > MAX_SECRET_BYTES) return reject(tooLong());
      }
    };
    const end = () => resolve(typed.join(''));
    input.on('data', take).once('end', end).once('error', reject);
  }).finally(() => {
    input.setRawMode?.(false);
    input.removeAllListeners('data').pause();
    afterTyping();
  });
}

function tooLong(): CliError {
  return badSecret(`it has more than ${MAX_SECRET_BYTES} bytes`);
}

function badSecret(why: string): CliError {
  return new CliError('bad_secret', EXIT.usage, `the secret cannot be taken: ${why}`, {
    next: 'give it on stdin, e.g. palyra vault put SCOPE/KEY < FILE',
  });
}

function interrupted(): CliError {
  return new CliError('interrupted', EXIT.failure, 'nothing was stored');
}
