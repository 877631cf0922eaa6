/** Seals secrets with AES-256-GCM under a master key. Pure: the nonce comes from the caller. */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
const TAG_BYTES = 16;
// Sealed secrets come in a few sizes only, so that a length tells little.
const PAD_TO_BYTES = 64;
const LENGTH_BYTES = 4;

export interface MasterKey {
  /** The same key gives the same id; the id gives no key. */
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface Sealed {
  readonly keyId: string;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
  readonly tag: Uint8Array;
}

/** Undefined where it is not 32 bytes. */
export function toMasterKey(bytes: Uint8Array): MasterKey | undefined {
  if (bytes.byteLength !== KEY_BYTES) return undefined;
  const id = createHash('sha256').update('palyra vault key id\0').update(bytes).digest('hex');
  return { id: id.slice(0, 16), bytes };
}

/** `ref` is bound to the result: what was sealed for one reference does not open for another. A nonce is used once. */
export function seal(key: MasterKey, ref: string, secret: string, nonce: Uint8Array): Sealed {
  const cipher = createCipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(key, ref));
  const sealed = Buffer.concat([cipher.update(pad(secret)), cipher.final()]);
  return {
    keyId: key.id,
    nonce: Uint8Array.from(nonce),
    sealed: Uint8Array.from(sealed),
    tag: Uint8Array.from(cipher.getAuthTag()),
  };
}

/** Undefined where it was sealed with another key or for another reference, or was changed since. */
export function unseal(key: MasterKey, ref: string, sealed: Sealed): string | undefined {
  if (sealed.keyId !== key.id || sealed.nonce.byteLength !== NONCE_BYTES) return undefined;
  if (sealed.tag.byteLength !== TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key.bytes, sealed.nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(boundTo(key, ref));
  decipher.setAuthTag(sealed.tag);
  try {
    return unpad(Buffer.concat([decipher.update(sealed.sealed), decipher.final()]));
  } catch {
    return undefined;
  }
}

function boundTo(key: MasterKey, ref: string): Buffer {
  return Buffer.from(`palyra vault 1\0${key.id}\0${ref}`);
}

function pad(secret: string): Buffer {
  const length = Buffer.byteLength(secret);
  const padded = Buffer.alloc(Math.ceil((LENGTH_BYTES + length) / PAD_TO_BYTES) * PAD_TO_BYTES);
  padded.writeUInt32BE(length, 0);
  padded.write(secret, LENGTH_BYTES);
  return padded;
}

function unpad(padded: Buffer): string {
  const length = padded.readUInt32BE(0);
  return padded.subarray(LENGTH_BYTES, LENGTH_BYTES + length).toString();
}
