/** What a host may give to `createGateway`, and how each that is wrong is named. */
import { isAbsolute } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkOptions, logOf } from '../../cli/gateway-options.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';

const test = suite('options of an embedded gateway');

const WRONG: readonly (readonly [object, string])[] = [
  [{ stateRoot: '' }, 'stateRoot: expected a directory; found text of 0 characters'],
  [{ stateRoot: undefined }, 'stateRoot: expected a directory; found nothing'],
  [{ connectors: null }, 'connectors: expected a table; found null'],
  [
    { connectors: { mine: { module: 'x' } } },
    'connectors.mine: expected a table of module and export; found a table',
  ],
  [
    { connectors: { webhook: { module: 'never-loaded', export: 'kind' } } },
    'connectors: expected another name: it is kept for the channels of webhooks; found "webhook"',
  ],
  [{ log: 'stderr' }, 'log: expected a function; found "stderr"'],
  [{ logLevel: 'loud' }, 'logLevel: expected one of debug, info, warn, error; found "loud"'],
  [{ threads: 1.5 }, 'threads: expected a whole number from 1 to 64; found 1.5'],
  [{ threads: 0 }, 'threads: expected a whole number from 1 to 64; found 0'],
  [{ threadLimits: null }, 'threadLimits: expected a table; found null'],
  [
    { threadLimits: { maxHeapMb: '256' } },
    'threadLimits.maxHeapMb: expected a number above 0; found "256"',
  ],
];

test('a wrong option is invalid_options, with its name, what was expected and what is there', () => {
  for (const [options, message] of WRONG) {
    let thrown: unknown;
    try {
      checkOptions({ stateRoot: './state', ...options });
    } catch (error) {
      thrown = error;
    }
    assert.is(codeOf(thrown), 'invalid_options', message);
    assert.is(messageOf(thrown), message);
  }
});

test('what is not given has a default, and the state root is absolute', () => {
  const { stateRoot, connectors, threads, threadLimits } = checkOptions({ stateRoot: 'state' });
  assert.ok(isAbsolute(stateRoot));
  assert.ok(threads >= 2 && threads <= 4);
  assert.equal([connectors, threadLimits], [{}, {}]);
});

test('the log hears its level and above', () => {
  const heard: string[] = [];
  const log = logOf({ stateRoot: '', logLevel: 'warn', log: (level) => void heard.push(level) });
  for (const level of ['debug', 'info', 'warn', 'error'] as const) log(level, '');
  assert.equal(heard, ['warn', 'error']);
});

test.run();
