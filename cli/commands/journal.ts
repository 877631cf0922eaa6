/** `palyra journal verify`: checks the whole hash chain of a store, stopped or in use, without changing it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type CommandWorld, withJson } from '../command-world.ts';
import { STORE_DIRECTORY, STORE_FORMAT, toOpenFailure } from '../compose-machine.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { stateRootOf } from '../state-root.ts';
import { show } from '../terminal.ts';

interface VerifyFlags {
  readonly stateRoot?: string;
  readonly json?: boolean;
}

/** On stderr, so often that it is seen to move and seldom enough to cost nothing. */
const PROGRESS_EVERY_MS = 1_000;

export function addJournal(program: Command, world: CommandWorld): void {
  const journal = program.command('journal').description('the journal of a state root');
  withJson(
    journal
      .command('verify')
      .description('check the whole hash chain; on a stopped store or beside a running gateway')
      .option('--state-root <dir>', 'state root to check'),
  ).action(async (flags: VerifyFlags) => {
    await verify(world, flags);
  });
}

async function verify({ terminal }: CommandWorld, flags: VerifyFlags): Promise<void> {
  const stateRoot = stateRootOf(flags.stateRoot, terminal.env);
  const directory = join(stateRoot, STORE_DIRECTORY);
  if (!existsSync(directory)) {
    throw new CliError('not_found', EXIT.notFound, `there is no store below ${stateRoot}`, {
      next: 'give the --state-root that a gateway ran on',
    });
  }
  const { openLmdbStore } = await import('../../runtime/store/lmdb/index.ts');
  const store = await openLmdbStore({
    directory,
    readOnly: true,
    formatVersion: STORE_FORMAT,
  }).catch((error: unknown) => {
    throw toOpenFailure(stateRoot, error);
  });
  try {
    const verdict = await store.verify({ whole: true, progress: progressOn(terminal) });
    const result = { state_root: stateRoot, ...verdict };
    if (!verdict.ok) {
      show(
        terminal,
        flags,
        result,
        () => `broken at sequence ${verdict.sequence}: ${verdict.reason}`,
      );
      const message = `the journal is broken at sequence ${verdict.sequence}: ${verdict.reason}`;
      throw new CliError('journal_broken', EXIT.failure, message, {
        next: 'keep this state root as it is, and restore a backup into another one together with the vault.key of this one',
      });
    }
    show(
      terminal,
      flags,
      result,
      () =>
        `journal verified: ${verdict.entries} entries, ${verdict.facts} facts, head ${verdict.head}`,
    );
  } finally {
    await store.close();
  }
}

function progressOn(terminal: CommandWorld['terminal']): (sequence: number) => void {
  let lastMs = performance.now();
  return (sequence) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < PROGRESS_EVERY_MS) return;
    lastMs = nowMs;
    terminal.err(`verified up to sequence ${sequence}\n`);
  };
}
