/** Holds that a shown command can be typed where it was shown. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { calledAs } from '../../cli/called-as.ts';

const test = suite('cli: how it was called');

test('installed it has its name, run by npx it has that, and a script is a script', () => {
  assert.is(calledAs('/usr/local/bin/palyra', '/opt'), 'palyra');
  assert.is(calledAs('/opt/clone/node_modules/.bin/palyra', '/opt/clone'), 'npx palyra');
  assert.is(calledAs('/opt/.npm/_npx/1f/node_modules/.bin/palyra', '/opt'), 'npx palyra');
  assert.is(calledAs('/opt/clone/dist/cli/main.js', '/opt/clone'), 'node dist/cli/main.js');
  assert.is(calledAs('/opt/a b/main.js', '/opt'), "node 'a b/main.js'");
});

test.run();
