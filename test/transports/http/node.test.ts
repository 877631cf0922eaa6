/** The HTTP engine on node:http keeps the contract of all engines. */
import { openNodeHttp } from '../../../transports/http/node.ts';
import { httpEnduranceContract } from '../../contracts/http-endurance.contract.ts';
import { httpServerContract } from '../../contracts/http-server.contract.ts';

// Each contract calls its suite's .run() itself.
httpServerContract('node:http', async () => openNodeHttp);
httpEnduranceContract('node:http', async () => openNodeHttp, 'problem document');
