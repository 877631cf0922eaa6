/** The kinds of connector that come with the gateway, loaded when asked for: each brings its platform's library. */
import type { ConnectorKinds } from './config/kind-checks.ts';

export async function builtInKinds(): Promise<ConnectorKinds> {
  const [{ echoKind }, { telegramKind }] = await Promise.all([
    import('../connectors/echo/index.ts'),
    import('../connectors/telegram/index.ts'),
  ]);
  return { [echoKind.kind]: echoKind, [telegramKind.kind]: telegramKind };
}
