/** What a thread loads before it takes an actor, and what a module that is not to be had means. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { preload } from '../../cli/preload.ts';
import { codeOf } from '../../runtime/errors.ts';

const test = suite('preload');

const moduleOf = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;

const throwing = (code: string) =>
  moduleOf(`throw Object.assign(new Error('no'), { code: '${code}' });`);

async function codeOfPreload(kinds: readonly string[], module = ''): Promise<string> {
  const hostKinds = module === '' ? {} : { pager: { module, export: 'pager' } };
  try {
    await preload({ kinds, hostKinds, provider: 'echo' });
    return 'loaded';
  } catch (error) {
    return codeOf(error instanceof Error ? (error.cause ?? error) : error);
  }
}

test('the gateway has all of its own code', async () => {
  assert.is(await codeOfPreload(['echo', 'telegram']), 'loaded');
});

test('what a kind loads later is loaded now', async () => {
  const module = moduleOf(`
    export const pager = {
      kind: 'pager', create: () => {}, checkOptions: () => {},
      load: async () => { globalThis.isPagerLoaded = true; },
    };`);
  assert.is(await codeOfPreload(['pager'], module), 'loaded');
  assert.is(Reflect.get(globalThis, 'isPagerLoaded'), true);
  Reflect.deleteProperty(globalThis, 'isPagerLoaded');
});

test('a kind of the host that is wrong in itself does not keep the thread from its other actors', async () => {
  assert.is(await codeOfPreload(['pager'], throwing('ERR_OWN')), 'loaded');
  assert.is(await codeOfPreload(['pager'], moduleOf('export const other = 1;')), 'loaded');
});

for (const code of ['EMFILE', 'ENFILE']) {
  test(`${code}: the thread is not set up, for it would not find the module later either`, async () => {
    assert.is(await codeOfPreload(['pager'], throwing(code)), code);
  });
}

test("a kind that the gateway should have and does not is no account's trouble", async () => {
  assert.is(await codeOfPreload(['pigeon']), 'invalid_options');
});

test.run();
