/** What a thread loads before it takes an actor. */
import { createRequire } from 'node:module';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { preload } from '../../cli/preload.ts';

const test = suite('preload');

const { cache } = createRequire(import.meta.url);
const isLoaded = (name: string) =>
  Object.keys(cache).some((path) => path.includes(`/node_modules/${name}/`));

test('a kind without an account costs nothing, nor does one of the host', async () => {
  await preload({ kinds: ['echo', 'pager', 'constructor'], provider: 'echo' });
  assert.not(isLoaded('grammy'));
});

test('the client library of an account is there before its first call', async () => {
  await preload({ kinds: ['telegram'], provider: 'echo' });
  assert.ok(isLoaded('grammy'));
});

test.run();
