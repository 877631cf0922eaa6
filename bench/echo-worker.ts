/** The peer of `cross-thread-tell`: a bare worker that counts what it gets and says so. */
import { parentPort } from 'node:worker_threads';

let taken = 0;
let goal = Number.POSITIVE_INFINITY;

parentPort?.on('message', (message: { readonly goal?: number }) => {
  if (message.goal !== undefined) goal = message.goal;
  else taken += 1;
  if (taken === goal) parentPort?.postMessage(taken);
});
