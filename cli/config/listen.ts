/** `HOST:PORT` as flags, environment and file write it. It resolves no name and binds nothing. */
import { isIPv4 } from 'node:net';

export interface Listen {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** `127.0.0.1:7142`, `localhost:0`, `[::1]:7142`; undefined where it is not of that form. */
export function parseListen(text: string): Listen | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  return port <= 65_535 ? { host, port } : undefined;
}

/** Reached from this machine only: 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

export const LOOPBACK_ADVICE =
  'listen on a loopback address, e.g. 127.0.0.1:7142, and put a TLS proxy before it that speaks HTTP/1.1 to it';

/** The gateway would be reached from beyond this machine, without TLS and without a word that this is meant. */
export class BeyondLoopback extends Error {
  readonly code = 'address_refused';
  readonly retryable = false;

  constructor({ host, port }: Listen) {
    super(`refused to listen on ${host}:${port}; ${LOOPBACK_ADVICE}`);
    this.name = 'BeyondLoopback';
  }
}
