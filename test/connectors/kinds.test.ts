/** How kinds are found: built-in ones, a host's own, and what is refused. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BUILT_IN_KINDS, loadKind } from '../../connectors/index.ts';
import { rejectionCode } from '../../runtime/testing/behavior-kit.ts';

const test = suite('connector kinds');

const own = {
  kind: 'carrier-pigeon',
  availability: 'supported',
  needsCredential: false,
  checkOptions: () => undefined,
  create: () => assert.unreachable(),
};
const hostKinds = { 'carrier-pigeon': { module: 'host:birds', export: 'pigeon' } };

test('every built-in kind is found under its own name', async () => {
  for (const name of Object.keys(BUILT_IN_KINDS)) assert.is((await loadKind(name)).kind, name);
});

test('a host’s kind is loaded from its module', async () => {
  const seen: string[] = [];
  const load = async (module: string) => {
    seen.push(module);
    return { pigeon: own };
  };
  assert.is(await loadKind('carrier-pigeon', { hostKinds, load }), own as never);
  assert.equal(seen, ['host:birds']);
});

test('a host’s module that is missing, empty or of another kind is invalid_options', async () => {
  const loads = [
    async () => Promise.reject(new Error('no such file')),
    async () => ({}),
    async () => ({ pigeon: { ...own, kind: 'other' } }),
    async () => ({ pigeon: { kind: 'carrier-pigeon' } }),
  ];
  for (const load of loads) {
    const loading = loadKind('carrier-pigeon', { hostKinds, load });
    assert.is(await rejectionCode(loading), 'invalid_options');
  }
});

test('an unknown kind is invalid_options, also where its name is one of Object’s', async () => {
  for (const name of ['fax', 'toString', '__proto__']) {
    assert.is(await rejectionCode(loadKind(name)), 'invalid_options');
  }
});

test.run();
