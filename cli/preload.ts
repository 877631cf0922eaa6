/**
 * The code that a pool thread has before it takes an actor. Node.js remembers for the life of a thread that a module could not
 * be loaded: one that is loaded when first used, at a moment without a free descriptor, would be missing there for ever.
 */
import { type KindSource, loadKind } from '../connectors/kinds.ts';
import { loadModelCode, type ModelProvider } from '../connectors/models/open-model.ts';
import { codeOf } from '../runtime/errors.ts';

export interface PreloadedCode {
  /** Of the accounts that there are. */
  readonly kinds: readonly string[];
  readonly hostKinds: Readonly<Record<string, KindSource>>;
  readonly provider: ModelProvider;
}

/** Rejects where a module of the gateway's own, or for want of a descriptor one of the host's, cannot be loaded. */
export async function preload({ kinds, hostKinds, provider }: PreloadedCode): Promise<void> {
  await Promise.all([
    import('../actors/channels/connector-actor.ts'),
    import('../actors/runs/actor.ts'),
    import('../actors/sessions/session-actor.ts'),
    import('../actors/webhooks/webhook-actor.ts'),
    loadModelCode(provider),
    ...kinds.map((kind) => preloadKind(kind, hostKinds)),
  ]);
}

const NO_DESCRIPTOR: readonly string[] = ['EMFILE', 'ENFILE'];

async function preloadKind(kind: string, hostKinds: PreloadedCode['hostKinds']): Promise<void> {
  try {
    const { load } = await loadKind(kind, { hostKinds });
    await load?.();
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    // A host's kind that is wrong in itself is its account's trouble.
    if (!Object.hasOwn(hostKinds, kind) || NO_DESCRIPTOR.includes(codeOf(cause))) throw error;
  }
}
