/** Every bench case. */
import type { BenchCase } from './bench-case.ts';
import {
  crossThreadAskComlink,
  crossThreadAskPiscina,
  crossThreadRtt,
} from './cross-thread-ask.ts';
import { crossThreadTell, crossThreadTellKb, crossThreadTellMb } from './cross-thread-tell.ts';
import { flood } from './flood.ts';
import { idleGateway } from './idle-gateway.ts';
import { localAsk } from './local-ask.ts';
import { localFanIn, localTell, localXstate } from './local-tell.ts';
import { savinaPrograms } from './savina-programs.ts';
import { simulateSeeds } from './simulate.ts';
import { idleActor, skynetLarge, skynetSmall, spawnAndStop, spawnRate } from './spawn.ts';
import { stateRestore, stateSave } from './state.ts';
import { threadLoss } from './thread-loss.ts';
import { timerLagOther, timerLagOwn } from './timer-lag.ts';
import { webhookIngress64, webhookIngress256 } from './webhook-ingress.ts';
import { webhookToReply } from './webhook-to-reply.ts';

export const cases: readonly BenchCase[] = [
  localTell,
  localFanIn,
  localXstate,
  localAsk,
  crossThreadTell,
  crossThreadTellKb,
  crossThreadTellMb,
  crossThreadRtt,
  crossThreadAskComlink,
  crossThreadAskPiscina,
  spawnRate,
  spawnAndStop,
  idleActor,
  skynetSmall,
  skynetLarge,
  ...savinaPrograms,
  timerLagOwn,
  timerLagOther,
  threadLoss,
  stateSave,
  stateRestore,
  flood,
  simulateSeeds,
  webhookIngress64,
  webhookIngress256,
  webhookToReply,
  idleGateway,
];
