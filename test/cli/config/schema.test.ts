/** Holds the printed JSON Schema against the schema that reads the file, and references against the vault's reader. */
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { parseSecretRef } from '../../../actors/vault/secret-ref.ts';
import { configJsonSchema } from '../../../cli/config/parse.ts';
import { configFileSchema } from '../../../cli/config/schema.ts';
import { validFile } from '../support/config-arbitrary.ts';

const test = suite('config: schema');
const jsonSchema = z.fromJSONSchema(configJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);

const EXAMPLE = `
[admin]
token_ref = "env:PALYRA_ADMIN_TOKEN"
[model]
provider = "echo"
[[connectors]]
id = "telegram:main"
kind = "telegram"
token_ref = "env:TELEGRAM_TOKEN"
[[channel_router.routing.channels]]
channel = "telegram:main"
direct_message_policy = "allow"
[[webhooks]]
integration_id = "orders"
secret_refs = ["env:ORDERS_SECRET"]
reply_to = { connector = "telegram:main", conversation = "42" }
`;

function takes(source: string): boolean {
  return jsonSchema.safeParse(parse(source)).success;
}

test('the printed schema takes the documented example', () => {
  assert.ok(takes(EXAMPLE));
  assert.ok(takes(''));
});

test('the printed schema refuses unknown keys, wrong words and wrong counts', () => {
  assert.not(takes(EXAMPLE.replace('[model]', '[modle]')));
  assert.not(takes(EXAMPLE.replace('provider = "echo"', 'provider = "ecko"')));
  assert.not(takes(EXAMPLE.replace('["env:ORDERS_SECRET"]', '["env:A", "env:B", "env:C"]')));
  assert.not(takes(EXAMPLE.replace('["env:ORDERS_SECRET"]', '["whsec_x"]')));
  assert.not(takes(EXAMPLE.replace('integration_id = "orders"', '')));
});

test('the printed schema takes every file that is read', () => {
  fc.assert(
    fc.property(validFile, (file) => {
      assert.ok(configFileSchema.safeParse(file).success);
      assert.ok(jsonSchema.safeParse(JSON.parse(JSON.stringify(file))).success);
    }),
    { numRuns: 60 },
  );
});

test('a reference is taken where the vault can read it, and refused where it cannot', () => {
  const spelled = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('env:', 'file:', 'vault:', 'vault:a/', ''),
        fc.string({ maxLength: 12 }),
      )
      .map((parts) => parts.join('')),
    fc.constantFrom(
      'env:A',
      'env:1A',
      'file:',
      'file:/a b',
      'vault:a/b',
      'vault:a',
      'vault:A/b',
      `vault:a/${'b'.repeat(128)}`,
      `env:${'A'.repeat(129)}`,
    ),
  );
  fc.assert(
    fc.property(spelled, (ref) => {
      const taken = configFileSchema.safeParse({ admin: { token_ref: ref } }).success;
      assert.is(taken, parseSecretRef(ref) !== undefined, JSON.stringify(ref));
    }),
    { numRuns: 500 },
  );
});

test.run();
