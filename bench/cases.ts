/** Every bench case. */
import type { BenchCase } from './bench-case.ts';
import { crossThreadTell } from './cross-thread-tell.ts';
import { idleGateway } from './idle-gateway.ts';
import { localTell } from './local-tell.ts';
import { webhookIngress64, webhookIngress256 } from './webhook-ingress.ts';
import { webhookToReply } from './webhook-to-reply.ts';

export const cases: readonly BenchCase[] = [
  localTell,
  crossThreadTell,
  webhookIngress64,
  webhookIngress256,
  webhookToReply,
  idleGateway,
];
