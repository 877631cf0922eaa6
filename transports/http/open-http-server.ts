/** Picks the HTTP engine: uWebSockets.js, or its `node:http` twin, with a warning, where the binary cannot load. */
import type { OpenHttpServer } from './http-server.ts';
import { openNodeHttp } from './node.ts';
import { loadUws } from './uws.ts';

/** Where warnings and defects go; it never throws. */
export type HttpLog = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** Call it on the main thread only. `load` is replaced by tests. */
export async function pickHttpEngine(
  log: HttpLog,
  load: () => Promise<OpenHttpServer> = loadUws,
): Promise<OpenHttpServer> {
  try {
    return await load();
  } catch (error) {
    log('warn', 'uWebSockets.js has no binary for this system; node:http serves instead, slower', {
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
      error,
    });
    return openNodeHttp;
  }
}
