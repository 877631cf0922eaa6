/** The echo connector keeps the connector contract. */
import { echoKind } from '../../../connectors/echo/index.ts';
import { connectorContract } from '../../contracts/connector.contract.ts';

const NO_PLATFORM = 'echo has no platform; the telegram connector runs it';

connectorContract('echo', {
  kind: echoKind,
  noInbound: NO_PLATFORM,
  noCredential: NO_PLATFORM,
  async start() {
    return {
      credential: '',
      options: {},
      conversationId: '42',
      sent: () => undefined,
      arm: (outcome) =>
        ({
          delivered: 'plain',
          rate_limited: 'please [rate-limit-once]',
          transient: 'please [connector-crash-once]',
          auth: 'please [auth]',
          permanent: 'please [permanent]',
          unknown: 'please [unknown-once]',
          hang: 'please [hang]',
        })[outcome],
      push: () => undefined,
      confirmed: () => 0,
      stop: async () => undefined,
    };
  },
});
