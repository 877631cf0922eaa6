/** An owner's reply, held to the catalogue. */
import * as assert from 'uvu/assert';
import { type OperationName, operations } from '../../proto/control/catalogue.ts';
import { errorsOf } from '../../proto/control/operation.ts';
import type { OperationReply } from '../../proto/control/owner.ts';

/** Gives the reply back; fails where its output has another shape, or its code is none of the operation's. */
export function declared<R extends OperationReply>(name: OperationName, reply: R): R {
  const operation = operations[name];
  if (reply.ok) operation.output.parse(reply.output);
  else {
    const { code } = reply.error;
    assert.ok(errorsOf(operation).includes(code), `${name} does not declare ${code}`);
  }
  return reply;
}
