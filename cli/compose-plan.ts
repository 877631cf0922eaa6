/** From configuration to the plan of the tree. Pure. */
import type { GatewayPlan } from '../actors/tree.ts';
import type { GatewayConfig } from './config/gateway-config.ts';

export const SYSTEM = 'palyra';
/** Where the gateway keeps a token that it made itself. */
const OWN_TOKEN_REF = 'vault:admin/token';
/** A reply older than this is not worth sending any more. */
const MAX_AGE_MS = 24 * 3_600_000;

export function makesToken(config: GatewayConfig): boolean {
  return config.admin.tokenRef === '';
}

/** Those that there is an account of. */
export function kindsOf(config: GatewayConfig): readonly string[] {
  return [...new Set(enabledOf(config).map(({ kind }) => kind))];
}

function enabledOf({ connectors }: GatewayConfig): GatewayConfig['connectors'] {
  return connectors.filter(({ enabled }) => enabled);
}

export function planOf(config: GatewayConfig, version: string): GatewayPlan {
  const isOwn = makesToken(config);
  const { host, port, unreadyMs } = config.http;
  return {
    system: SYSTEM,
    version,
    http: { host, port },
    unreadyMs,
    admin: { tokenRef: isOwn ? OWN_TOKEN_REF : config.admin.tokenRef, makesToken: isOwn },
    modelProvider: config.model.provider,
    accounts: enabledOf(config).map(
      ({ connectorId, kind, tokenRef, onUnknown, parkedMaxAgeMs, options }) => ({
        connectorId,
        kind,
        tokenRef,
        onUnknown,
        maxAgeMs: MAX_AGE_MS,
        parkedMaxAgeMs,
        options,
      }),
    ),
    rules: config.router,
    webhooks: config.webhooks,
  };
}
