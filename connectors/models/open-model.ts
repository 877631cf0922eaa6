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
      /** For one call, whatever its caller's signal allows. Default 120,000. */
      readonly timeoutMs?: number;
    };

export const MODEL_PROVIDERS = ['echo', 'openai-compatible'] as const;

/** Rejects with `invalid_options` for a provider that is not one of `MODEL_PROVIDERS`. */
export async function openModel(config: ModelConfig): Promise<Model> {
  switch (config.provider) {
    case 'echo':
      return (await import('./echo.ts')).createEchoModel();
    case 'openai-compatible':
      return (await import('./openai-compatible.ts')).createOpenAiCompatibleModel(config);
    default:
      throw new PalyraError(
        'invalid_options',
        `no model provider of this name; known are: ${MODEL_PROVIDERS.join(', ')}`,
      );
  }
}
