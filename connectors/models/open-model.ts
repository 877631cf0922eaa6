/** Opens the model that a configuration names, loading its client library only then. */
import { PalyraError } from '../../proto/errors.ts';
import type { Model } from './model.ts';

/** As `[model]` of the configuration says, its key resolved. */
export type ModelConfig =
  | { readonly provider: 'echo' }
  | {
      readonly provider: 'openai-compatible';
      /** Up to and with the version, e.g. `http://127.0.0.1:11434/v1`. */
      readonly baseUrl: string;
      readonly model: string;
      /** '' where the server wants none. */
      readonly apiKey: string;
      /** For one call, whatever its caller's signal allows. Default 119,000. */
      readonly timeoutMs?: number;
    };

export const MODEL_PROVIDERS = ['echo', 'openai-compatible'] as const;

export type ModelProvider = (typeof MODEL_PROVIDERS)[number];

const CODE = {
  echo: () => import('./echo.ts'),
  'openai-compatible': () => import('./openai-compatible.ts'),
} as const satisfies Record<ModelProvider, () => Promise<unknown>>;

/** Loads what `openModel` of this provider needs, and opens nothing. */
export async function loadModelCode(provider: ModelProvider): Promise<void> {
  await CODE[provider]();
}

/** Rejects with `invalid_options` for a provider that is not one of `MODEL_PROVIDERS`. */
export async function openModel(config: ModelConfig): Promise<Model> {
  switch (config.provider) {
    case 'echo':
      return (await CODE.echo()).createEchoModel();
    case 'openai-compatible':
      return (await CODE['openai-compatible']()).createOpenAiCompatibleModel(config);
    default:
      throw new PalyraError(
        'invalid_options',
        `no model provider of this name; known are: ${MODEL_PROVIDERS.join(', ')}`,
      );
  }
}
