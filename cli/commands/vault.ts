/** `palyra vault put|list`: the secrets that the gateway keeps. Nothing here shows one. */
import type { Command } from 'commander';
import {
  type ClientFlags,
  type CommandWorld,
  clientOf,
  withClientFlags,
} from '../command-world.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { printable, show } from '../terminal.ts';

const PAGE = 500;

export function addVault(program: Command, world: CommandWorld): void {
  const vault = program.command('vault').description('secrets that the gateway keeps sealed');
  withClientFlags(
    vault
      .command('put')
      .description('store a secret from stdin, or typed unseen, and replace what was there')
      .argument('<name>', 'SCOPE/KEY: lower-case letters, digits, . _ -'),
  ).action(async (name: string, flags: ClientFlags) => {
    const place = parseName(name);
    const client = clientOf(world, flags);
    const secret = await world.terminal.readSecret(`secret for vault:${name}: `);
    const stored = await client.call('vault.put', { ...place, secret });
    show(world.terminal, flags, stored, ({ ref }) => `stored ${ref}`);
  });
  withClientFlags(
    vault.command('list').description('the references of what is stored, without the secrets'),
  ).action(async (flags: ClientFlags) => {
    const client = clientOf(world, flags);
    const refs: string[] = [];
    for (let after = ''; ; ) {
      const page = await client.call('vault.list', { after, limit: PAGE });
      refs.push(...page.refs);
      if (page.next === '') break;
      after = page.next;
    }
    const toText = () => (refs.length === 0 ? 'nothing is stored' : refs.map(printable).join('\n'));
    show(world.terminal, flags, { refs }, toText);
  });
}

function parseName(name: string): { readonly scope: string; readonly key: string } {
  const [scope = '', key = '', ...more] = name.split('/');
  const isName = [scope, key].every((part) => /^[a-z0-9._-]+$/.test(part));
  if (isName && more.length === 0) return { scope, key };
  // Not repeated: it may be the secret, given in the wrong place.
  throw new CliError('bad_option', EXIT.usage, 'the name of a secret is SCOPE/KEY', {
    next: 'e.g. palyra vault put telegram/token, with the secret on stdin',
  });
}
