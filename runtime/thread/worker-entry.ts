/** The one entry of every worker thread. */
import { isMainThread, workerData } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { RuntimeError } from '../errors.ts';
import { createNodeHost, externalBytes } from '../host/node-host.ts';
import { giveWayToMain } from '../host/priority.ts';
import { setUpThread } from './resolve.ts';
import type { WorkerBirth } from './thread-control.ts';
import { WorkerThread } from './worker-thread.ts';

if (isMainThread || (workerData as Partial<WorkerBirth> | null)?.calls === undefined) {
  throw new RuntimeError(
    'bad_option',
    'this module is for worker threads that the runtime makes; it was loaded in another thread',
  );
}

const { name, number, page, heard, setup, calls, data, control } = workerData as WorkerBirth;
const thread = new WorkerThread({
  name,
  number,
  page,
  heard,
  ports: { data, control },
  host: createNodeHost(),
  setUp: (context) => setUpThread(setup, context),
  externalBytes,
  giveWay: giveWayToMain,
  hangUp: () => calls.close(),
});
expose(thread, nodeEndpoint(calls));
