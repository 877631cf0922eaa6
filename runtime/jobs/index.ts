/** CPU jobs behind one actor, for hosts of the runtime. */
export { type JobsArgs, type JobsDeps, jobsActor } from './actor.ts';
export { createJobPool, type JobPool, type JobPoolOptions } from './pool.ts';
export type { JobReply, JobRequest, JobsProtocol, JobsStatus } from './protocol.ts';
