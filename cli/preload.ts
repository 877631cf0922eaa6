/**
 * The code of the gateway's own that a pool thread has before it takes an actor. Node.js remembers for the life of a thread that
 * a module could not be loaded: one that is loaded when first used, at a moment without a free descriptor, would be missing
 * there for ever. A host's kinds are loaded by their accounts: one that hangs or breaks meanwhile is no trouble of the others.
 */
import { loadBuiltInCode } from '../connectors/kinds.ts';
import { loadModelCode, type ModelProvider } from '../connectors/models/open-model.ts';

export interface PreloadedCode {
  /** Of the accounts that there are. */
  readonly kinds: readonly string[];
  readonly provider: ModelProvider;
}

/** Rejects where a module cannot be loaded: no actor may be started in this thread. */
export async function preload({ kinds, provider }: PreloadedCode): Promise<void> {
  await Promise.all([
    import('../actors/channels/connector-actor.ts'),
    import('../actors/runs/actor.ts'),
    import('../actors/sessions/session-actor.ts'),
    import('../actors/webhooks/webhook-actor.ts'),
    loadModelCode(provider),
    ...kinds.map(loadBuiltInCode),
  ]);
}
