/** The ways from a name to code. */
import { RuntimeError } from '../errors.ts';
import { keeperActor } from '../state/keeper.ts';
import { OWN_MODULE, supervisorActor } from '../supervision/supervisor.ts';
import type {
  AnyDefinition,
  ThreadContext,
  ThreadSetup,
  ThreadSetupName,
  ThreadWorld,
} from '../system.ts';

export type Resolve = (module: string, exportName: string) => Promise<AnyDefinition>;

/** Whoever calls this checks what it got. */
export async function resolveByImport(module: string, exportName: string): Promise<AnyDefinition> {
  const loaded = (await import(module)) as Record<string, unknown>;
  return loaded[exportName] as AnyDefinition;
}

/** The runtime's own actors come before the thread's way. Whoever calls this checks what it got. */
export async function findDefinition(
  resolve: Resolve,
  module: string,
  exportName: string,
): Promise<AnyDefinition | undefined> {
  if (module !== OWN_MODULE) return resolve(module, exportName);
  return [supervisorActor, keeperActor].find((own) => own.export === exportName);
}

/** Runs a thread's setup, if it has one. Rejects with `unknown_module` or the setup's own error. */
export async function setUpThread(
  name: ThreadSetupName | undefined,
  context: ThreadContext,
): Promise<ThreadWorld> {
  if (name === undefined) return { deps: undefined };
  const loaded = (await import(name.module)) as Record<string, unknown>;
  const setup = loaded[name.export];
  if (typeof setup !== 'function') {
    const message = `${name.module} exports no thread setup '${name.export}'`;
    throw new RuntimeError('unknown_module', message);
  }
  return (setup as ThreadSetup)(name.args, context);
}
