/** The HTTP engine on uWebSockets.js keeps the contract of all engines. */
import { loadUws } from '../../../transports/http/uws.ts';
import { httpEnduranceContract } from '../../contracts/http-endurance.contract.ts';
import { httpServerContract } from '../../contracts/http-server.contract.ts';

// Each contract calls its suite's .run() itself.
httpServerContract('uWebSockets.js', loadUws);
httpEnduranceContract('uWebSockets.js', loadUws, 'own page');
