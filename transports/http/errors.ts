/** Why a listener could not be opened. */

export type HttpListenCode = 'address_in_use' | 'address_refused' | 'address_unknown';

export class HttpListenError extends Error {
  readonly code: HttpListenCode;
  readonly host: string;
  readonly port: number;
  /** Another process may let go of the port; a host that is not ours stays so. */
  readonly retryable: boolean;

  constructor(host: string, port: number, cause: unknown) {
    const code = codeOf(cause);
    super(`cannot listen on ${host} port ${port}: ${REMEDIES[code]}`, { cause });
    this.name = 'HttpListenError';
    this.code = code;
    this.host = host;
    this.port = port;
    this.retryable = code === 'address_in_use';
  }
}

const REMEDIES: Readonly<Record<HttpListenCode, string>> = {
  address_in_use: 'another process listens there; stop it or choose another port',
  address_refused: 'the system does not allow it; choose a port above 1023',
  address_unknown: 'this machine has no such address; choose one of its own',
};

function codeOf(cause: unknown): HttpListenCode {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : '';
  if (code === 'EADDRINUSE') return 'address_in_use';
  return code === 'EACCES' || code === 'EPERM' ? 'address_refused' : 'address_unknown';
}
