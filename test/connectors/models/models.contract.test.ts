/** Both models keep the model contract. */
import { startOpenAiFake } from '../../../connectors/fakes/openai/index.ts';
import { openModel } from '../../../connectors/index.ts';
import { modelContract } from '../../contracts/model.contract.ts';

modelContract('echo', {
  noHang: 'echo answers at once; openai-compatible runs it',
  async start() {
    const model = await openModel({ provider: 'echo' });
    return { model, hang: () => undefined, stop: async () => undefined };
  },
});

modelContract('openai-compatible', {
  noHang: '',
  async start() {
    const fake = await startOpenAiFake();
    const model = await openModel({
      provider: 'openai-compatible',
      baseUrl: fake.url,
      model: 'fake-1',
      apiKey: '',
    });
    return {
      model,
      hang: () => fake.script({ fault: { type: 'hang' } }),
      stop: () => fake.close(),
    };
  },
});
