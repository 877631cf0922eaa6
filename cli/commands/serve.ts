/** `palyra serve`: runs the gateway until a signal or its own end. What the gateway does is composed elsewhere. */
import type { Command } from 'commander';
import { type CommandWorld, withJson } from '../command-world.ts';
import { DEMO_WEBHOOK } from '../config/demo.ts';
import { builtInKinds } from '../connector-kinds.ts';
import { EXIT } from '../exit-codes.ts';
import type { GatewayHandle } from '../gateway.ts';
import { type Log, openLog } from '../log.ts';
import { guardProcess } from '../process-guard.ts';
import { loadSettings, type SettingFlags, type Settings } from '../settings.ts';
import { removeGatewayRecord, writeGatewayRecord } from '../state-root.ts';
import { shellWord } from '../terminal.ts';

export function addServe(program: Command, world: CommandWorld): void {
  withJson(
    program
      .command('serve')
      .description('run the gateway until SIGTERM or SIGINT')
      .option('--config <file>', 'TOML file; without one a demo runs')
      .option('--state-root <dir>', 'where everything durable lives')
      .option('--http <host:port>', 'where to listen; port 0 picks a free one')
      .option('--log-level <level>', 'debug, info, warn or error'),
  ).action(async (flags: SettingFlags) => {
    await serve(world, flags);
  });
}

async function serve(world: CommandWorld, flags: SettingFlags): Promise<void> {
  const settings = loadSettings(flags, world.terminal.env, await builtInKinds());
  const { stateRoot, logLevel } = settings;
  const opened = openLog({ level: logLevel, thread: 'main', stream: process.stderr });
  const { log } = opened;
  let gateway: GatewayHandle | undefined;
  const release = guardProcess({
    ...opened,
    stop: (deadlineMs) => gateway?.stop({ deadlineMs }),
    cleanUp: () => removeGatewayRecord(stateRoot, process.pid),
  });
  try {
    const { createGateway } = await import('../gateway.ts');
    gateway = createGateway({ config: settings.checked, stateRoot, log, logLevel });
    const { http } = await readyOrEnded(gateway);
    if (http !== undefined) announce(world, settings, http, log);
    const { code, cause } = await gateway.ended;
    log(code === EXIT.ok ? 'info' : 'error', 'the gateway has ended', { code, cause });
    world.finish(code);
  } finally {
    removeGatewayRecord(stateRoot, process.pid);
    opened.sayLeftOut();
    release();
  }
}

/** `http` is undefined when it was stopped before it listened. Throws why it did not start. */
async function readyOrEnded(
  gateway: GatewayHandle,
): Promise<{ readonly http: string | undefined }> {
  try {
    return await Promise.race([gateway.ready, gateway.ended.then(() => ({ http: undefined }))]);
  } catch (error) {
    const { code } = await gateway.ended;
    if (code === EXIT.ok) return { http: undefined };
    throw error;
  }
}

function announce(world: CommandWorld, settings: Settings, http: string, log: Log): void {
  const { terminal, self } = world;
  const record = { http, pid: process.pid };
  writeGatewayRecord(settings.stateRoot, record);
  terminal.out(`ready ${JSON.stringify(record)}\n`);
  if (settings.configFile !== '') return;
  const root = shellWord(settings.stateRoot);
  const command = `${self} webhooks test ${DEMO_WEBHOOK} --text Hello --state-root ${root}`;
  if (terminal.isInteractive) {
    terminal.err(
      `\nNo configuration file: a demo runs. Send it a message and see its reply:\n\n  ${command}\n\n`,
    );
  } else {
    log('info', 'no configuration file: a demo runs; send it a message and see its reply', {
      command,
    });
  }
}
