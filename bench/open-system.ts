/** Systems for the runtime's benches, as in production. */
import {
  type ActorDefinition,
  type ActorRef,
  child,
  createSystem,
  type System,
  type ThreadOptions,
} from '../runtime/index.ts';
import { SETUP } from './plain-setup.ts';

export function openInline(): Promise<System> {
  return createSystem({ name: 'bench', threads: 'inline', thread: SETUP, checkMessages: false });
}

export function openThreads(threads: ThreadOptions): Promise<System> {
  return createSystem({ name: 'bench', threads, thread: SETUP });
}

/** One actor below the root; the first one's end is the system's. */
export async function startOne<P, Own, A, S, D>(
  system: System,
  definition: ActorDefinition<P, Own, A, S, D>,
  id: string,
  args: A,
): Promise<ActorRef<P>> {
  const ref = system.spawn(child(definition, { id, args, placement: 'main' }));
  await system.started(ref);
  return ref;
}
