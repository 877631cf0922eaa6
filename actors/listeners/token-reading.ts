/** The listener's reading of its admin token: from its place, into memory as a digest, and into its file if it is the gateway's own. */
import { timingSafeEqual } from 'node:crypto';
import type { Self } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import { isBearerToken } from '../../transports/http/request-head.ts';
import type { SecretReply } from '../vault/protocol.ts';
import { digestOf, findToken } from './admin-token.ts';
import type { HttpListenerState } from './http-state.ts';

/** Never rejects: without an answer the token stays as it is. A reading begins when the one before has ended. */
export function readToken(
  state: HttpListenerState,
  self: Pick<Self<unknown>, 'ask'>,
): Promise<void> {
  const read = async () => {
    try {
      await learnToken(state, await findToken(state.args, self));
    } catch (error) {
      state.deps.log('warn', 'the admin token could not be asked for', { code: codeOf(error) });
    }
  };
  state.tokenRead = state.tokenRead.then(read);
  return state.tokenRead;
}

/** The gateway's own token is published as often as it changes, and until its file is written. */
async function learnToken(state: HttpListenerState, reply: SecretReply): Promise<void> {
  takeToken(state, reply);
  const { token, publishedToken } = state;
  if (!reply.ok || token === undefined || !state.args.makesToken) return;
  if (publishedToken === undefined || !timingSafeEqual(publishedToken, token)) {
    await publish(state, reply.secret, token);
  }
}

/** A token that is gone from its place is not valid any more, nor one that no request can carry; one that cannot be read just now stays. */
function takeToken(state: HttpListenerState, reply: SecretReply): void {
  const { tokenRef } = state.args;
  if (reply.ok) {
    const isUsable = isBearerToken(reply.secret);
    state.token = isUsable ? digestOf(reply.secret) : undefined;
    if (isUsable) return;
    const expected = '1 to 4,096 visible ASCII characters, without spaces and line ends';
    state.deps.log('error', 'the admin token is unusable: every admin call is refused', {
      tokenRef,
      expected,
    });
    return;
  }
  if (reply.code !== 'unreadable') state.token = undefined;
  state.deps.log('error', 'the admin token is not there: every admin call is refused', {
    tokenRef,
    code: reply.code,
  });
}

/** Without its file the gateway works; whoever looks for the token is told by the log. */
async function publish(
  state: HttpListenerState,
  secret: string,
  digest: Uint8Array,
): Promise<void> {
  try {
    await state.deps.publishToken(secret);
    state.publishedToken = digest;
  } catch (error) {
    state.deps.log('error', 'the admin token file could not be written', { code: codeOf(error) });
  }
}
