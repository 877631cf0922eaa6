/** The line before the store, against a plain model: order, bounds, bytes, and looks that see what came before them. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  CommitQueue,
  type QueuedCommit,
  type QueuedLook,
} from '../../../actors/ledger/commit-queue.ts';
import { encodeChangeSet } from '../../../runtime/store/encoding.ts';

const test = suite('ledger: the line');
const NOTHING = encodeChangeSet({ expect: [], put: [], remove: [], facts: [] });
const MAX_COMMITS = 3;
const MAX_BYTES = 10;

const steps = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant('commit' as const), bytes: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ type: fc.constant('look' as const) }),
    fc.record({ type: fc.constant('take' as const) }),
  ),
  { maxLength: 60 },
);

test('a batch is the head of the line within its bounds, and its looks stand nowhere behind what it left', () => {
  void fc.assert(
    fc.property(steps, (drawn) => {
      const queue = new CommitQueue();
      const line: (QueuedCommit | QueuedLook)[] = [];
      for (const step of drawn) {
        if (step.type === 'take') takeBoth(queue, line);
        else {
          const entry =
            step.type === 'look'
              ? { type: 'look' as const, look: () => undefined }
              : {
                  type: 'commit' as const,
                  changes: { ...NOTHING, bytes: step.bytes },
                  ends: { resolve: () => undefined, reject: () => undefined },
                };
          queue.push(entry);
          line.push(entry);
        }
        const bytes = line.reduce(
          (sum, one) => sum + (one.type === 'commit' ? one.changes.bytes : 0),
          0,
        );
        assert.equal([queue.length, queue.bytes], [line.length, bytes]);
      }
    }),
    { numRuns: 500 },
  );
});

/** The model: entries from the front until the first commit that does not fit. */
function takeBoth(queue: CommitQueue, line: (QueuedCommit | QueuedLook)[]): void {
  const { commits, looks } = queue.takeBatch(MAX_COMMITS, MAX_BYTES);
  const expected: { commits: unknown[]; looks: unknown[] } = { commits: [], looks: [] };
  let bytes = 0;
  for (let entry = line[0]; entry !== undefined; entry = line[0]) {
    if (entry.type === 'look') expected.looks.push(entry);
    else {
      const { length } = expected.commits;
      if (length === MAX_COMMITS || (length > 0 && bytes + entry.changes.bytes > MAX_BYTES)) break;
      expected.commits.push(entry);
      bytes += entry.changes.bytes;
    }
    line.shift();
  }
  assert.is(commits.length, expected.commits.length);
  assert.ok(commits.every((commit, i) => commit === expected.commits[i]));
  assert.is(looks.length, expected.looks.length);
  assert.ok(looks.every((look, i) => look === expected.looks[i]));
}

test.run();
