/** A local OpenAI-compatible endpoint for tests. */
export {
  type OpenAiCall,
  type OpenAiFake,
  type OpenAiFakeOptions,
  type OpenAiFault,
  startOpenAiFake,
} from './server.ts';
