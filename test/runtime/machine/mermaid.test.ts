/** The drawing names every state and transition. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createMachine } from 'xstate';
import { toMermaid } from '../../../runtime/machine/index.ts';

const test = suite('runtime/machine: mermaid');

test('states, guards, nesting, internal transitions and ends are drawn', () => {
  const machine = createMachine({
    id: 'door',
    initial: 'closed',
    states: {
      closed: {
        on: { open: [{ guard: 'hasKey', target: 'wide.open' }, { actions: 'ring' }] },
      },
      wide: { initial: 'open', states: { open: { on: { slam: '#door.gone' } } } },
      gone: { type: 'final' },
    },
  });
  assert.is(
    toMermaid(machine),
    `stateDiagram-v2
  [*] --> closed
  state "closed" as closed
  closed --> wide_open: open [hasKey]
  closed --> closed: open
  state "wide" as wide
  state wide {
    [*] --> wide_open
    state "open" as wide_open
    wide_open --> gone: slam
  }
  state "gone" as gone
  gone --> [*]`,
  );
});

test.run();
