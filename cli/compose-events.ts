/** What the runtime says happened, as log lines. */
import type { SystemEvent } from '../runtime/system.ts';
import type { Log } from './log.ts';

export function logEvent(log: Log, event: SystemEvent): void {
  switch (event.type) {
    case 'actor.crashed': {
      const { address, cause, stack, restartInMs } = event;
      const { kind, code, message = '', subject = '' } = cause;
      log('error', 'an actor has ended by an error', {
        address,
        kind,
        code,
        reason: message,
        subject,
        restartInMs,
        stack,
      });
      return;
    }
    case 'actor.started':
      log('debug', 'an actor has started', { address: event.address });
      return;
    case 'actor.restarted': {
      const { address, incarnation } = event;
      log('debug', 'an actor has started again', { address, incarnation });
      return;
    }
    case 'actor.stopped':
      log('debug', 'an actor is gone', { address: event.address, code: event.cause.code });
      return;
    case 'supervisor.exhausted':
      log('error', 'a supervisor has spent its restarts', {
        address: event.address,
        child: event.child,
        degraded: event.degraded,
      });
      return;
    case 'thread.lost':
      log('error', 'a thread is lost; its actors start again elsewhere', {
        lost: event.thread,
        code: event.code,
        culprit: event.culprit,
        subject: event.subject,
        actors: event.actors,
      });
      return;
    case 'thread.stalled':
      log('warn', 'a thread does not turn', {
        stalled: event.thread,
        forMs: event.forMs,
        culprit: event.culprit,
        subject: event.subject,
      });
      return;
    case 'thread.not_started':
      log('error', 'no thread can be made in the place of a lost one; it is tried again', {
        place: event.thread,
        code: event.code,
        reason: event.message,
      });
      return;
    case 'thread.started':
      log('debug', 'a thread has started', { started: event.thread, worker: event.worker });
      return;
    case 'mailbox.refused':
      log('debug', 'a mailbox is full', {
        address: event.address,
        kind: event.kind,
        overflow: event.overflow,
      });
      return;
    case 'store.failed':
      log('error', 'what actors keep cannot be written', { code: event.code });
      return;
    case 'phase.ended':
      log(event.code === '' ? 'debug' : 'warn', 'a phase of the stop has ended', {
        phase: event.phase,
        code: event.code,
      });
      return;
    case 'system.stopped':
      log('debug', 'the actors are stopped', { code: event.cause.code });
      return;
    case 'dead_letter':
      log('debug', 'a message found nobody', {
        address: event.address,
        kind: event.kind,
        reason: event.reason,
      });
      return;
  }
}
