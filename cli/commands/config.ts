/** `palyra config validate` and `palyra config schema`: the configuration file without a gateway. */
import type { Command } from 'commander';
import { type CommandWorld, withJson } from '../command-world.ts';
import { toLine } from '../config/config-error.ts';
import { readConfig } from '../config/given-config.ts';
import { configJsonSchema, parseConfig } from '../config/parse.ts';
import { builtInKinds } from '../connector-kinds.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { configFileOf, refuseBeyondLoopback } from '../settings.ts';
import { show } from '../terminal.ts';

interface ValidateFlags {
  readonly config?: string;
  readonly json?: boolean;
}

export function addConfig(program: Command, world: CommandWorld): void {
  const config = program.command('config').description('the configuration file');
  withJson(
    config
      .command('validate')
      .description('say everything that is wrong with a file, and start nothing')
      .argument('[file]', 'the same as --config')
      .option('--config <file>', 'TOML file; default PALYRA_CONFIG'),
  ).action(async (file: string | undefined, flags: ValidateFlags) => {
    await validate(world, file, flags);
  });
  withJson(config.command('schema').description('JSON Schema of the file')).action(
    (flags: { readonly json?: boolean }) => {
      show(world.terminal, flags, configJsonSchema(), (schema) =>
        JSON.stringify(schema, undefined, 2),
      );
    },
  );
}

async function validate(
  world: CommandWorld,
  positional: string | undefined,
  flags: ValidateFlags,
): Promise<void> {
  const file = configFileOf(flags.config ?? positional, world.terminal.env);
  if (file === '') {
    throw new CliError('bad_option', EXIT.usage, 'no configuration file was named', {
      next: 'palyra config validate FILE',
    });
  }
  const { config, warnings } = parseConfig(readConfig(file), file, await builtInKinds());
  refuseBeyondLoopback(config.http);
  const result = {
    valid: true,
    file,
    connectors: config.connectors.map(({ connectorId }) => connectorId),
    webhooks: config.webhooks.map(({ integrationId }) => integrationId),
    warnings,
  };
  show(world.terminal, flags, result, ({ connectors, webhooks }) => {
    const doubts = warnings.map((issue) => `warning: ${toLine(issue)}`);
    const summary = `${file} is valid: ${connectors.length} connectors, ${webhooks.length} webhooks`;
    return [...doubts, summary].join('\n');
  });
}
