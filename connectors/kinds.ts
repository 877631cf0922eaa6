/** Finds a connector kind by its name: the built-in ones, loaded when first used, and those that a host brings. */
import { PalyraError } from '../proto/errors.ts';
import type { ConnectorKind } from './connector.ts';

/** Code as data, valid in any thread: what `module` exports under `export` is a `ConnectorKind`. */
export interface KindSource {
  readonly module: string;
  readonly export: string;
}

export const BUILT_IN_KINDS: Readonly<Record<string, () => Promise<ConnectorKind>>> = {
  echo: async () => (await import('./echo/index.ts')).echoKind,
  telegram: async () => (await import('./telegram/index.ts')).telegramKind,
};

/** What a built-in kind loads sooner or later, all of it now; nothing for another one. */
export async function loadBuiltInCode(kind: string): Promise<void> {
  if (Object.hasOwn(BUILT_IN_KINDS, kind)) await BUILT_IN_KINDS[kind]?.();
  if (kind === 'telegram') await import('./telegram/bot-api.ts');
}

export interface KindLookup {
  /** By kind; one of a built-in's name replaces it. */
  readonly hostKinds?: Readonly<Record<string, KindSource>>;
  /** How a host's module is loaded; default `import()`. */
  load?(module: string): Promise<Readonly<Record<string, unknown>>>;
}

/** Rejects with `invalid_options` where there is no such kind, or the host's module does not hold one. */
export async function loadKind(kind: string, lookup: KindLookup = {}): Promise<ConnectorKind> {
  const { hostKinds = {} } = lookup;
  const source = Object.hasOwn(hostKinds, kind) ? hostKinds[kind] : undefined;
  if (source !== undefined) return loadHostKind(kind, source, lookup);
  const builtIn = Object.hasOwn(BUILT_IN_KINDS, kind) ? BUILT_IN_KINDS[kind] : undefined;
  if (builtIn !== undefined) return builtIn();
  const known = [...Object.keys(BUILT_IN_KINDS), ...Object.keys(hostKinds)].join(', ');
  throw new PalyraError('invalid_options', `no connector kind "${kind}"; known are: ${known}`);
}

async function loadHostKind(
  kind: string,
  source: KindSource,
  lookup: KindLookup,
): Promise<ConnectorKind> {
  const where = `${source.module} (${source.export})`;
  const load = lookup.load ?? ((module: string) => import(module));
  let found: unknown;
  try {
    found = (await load(source.module))[source.export];
  } catch (cause) {
    throw new PalyraError('invalid_options', `kind ${kind}: ${where} cannot be loaded`, { cause });
  }
  if (isKind(found) && found.kind === kind) return found;
  throw new PalyraError('invalid_options', `kind ${kind}: ${where} is no ConnectorKind of it`);
}

function isKind(value: unknown): value is ConnectorKind {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    typeof value.kind === 'string' &&
    'create' in value &&
    typeof value.create === 'function' &&
    'checkOptions' in value &&
    typeof value.checkOptions === 'function'
  );
}
