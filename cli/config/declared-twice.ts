/** A webhook that the file declares and a command added: known only once the store is open, and still an error of the file. */
import { codeOf, messageOf } from '../../runtime/errors.ts';
import type { CheckedConfig } from './checked-config.ts';
import { ConfigError } from './config-error.ts';

/** The start's error; where it is `duplicate_webhook`, the `ConfigError` with the key's place. */
export function placeDuplicate(error: unknown, checked: CheckedConfig): unknown {
  if (codeOf(error) !== 'duplicate_webhook') return error;
  // Across threads an error keeps its code and its message only.
  const message = messageOf(error);
  const index = checked.config.webhooks.findIndex(({ integrationId }) =>
    message.includes(`webhook ${JSON.stringify(integrationId)} `),
  );
  const webhook = checked.config.webhooks[index];
  if (webhook === undefined) return error;
  const issue = checked.issue({
    path: ['webhooks', index, 'integration_id'],
    expected: 'another id, because `webhooks add` created a webhook of this one',
    value: JSON.stringify(webhook.integrationId),
  });
  return new ConfigError([issue]);
}
