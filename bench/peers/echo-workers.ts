/** The peers of `cross-thread-rtt` and `cross-thread-ask`: a worker that posts back, and one behind comlink. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';

const { role, port } = workerData as {
  readonly role: 'post' | 'comlink';
  readonly port?: MessagePort;
};

if (role === 'post') parentPort?.on('message', (n: number) => parentPort?.postMessage(n));
else if (port !== undefined) expose({ number: (n: number) => n }, nodeEndpoint(port));
