/** The default way from a name to code. */
import type { AnyDefinition } from '../system.ts';

/** Whoever calls this checks what it got. */
export async function resolveByImport(module: string, exportName: string): Promise<AnyDefinition> {
  const loaded = (await import(module)) as Record<string, unknown>;
  return loaded[exportName] as AnyDefinition;
}
