/** The kinds of connector that come with the gateway, loaded so that their options can be checked. */
import { BUILT_IN_KINDS } from '../connectors/kinds.ts';
import type { ConnectorKinds } from './config/kind-checks.ts';

export async function builtInKinds(): Promise<ConnectorKinds> {
  const kinds = await Promise.all(Object.values(BUILT_IN_KINDS).map((load) => load()));
  return Object.fromEntries(kinds.map((kind) => [kind.kind, kind]));
}
