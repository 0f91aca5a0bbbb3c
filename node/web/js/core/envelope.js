// Everything symmetric: docs/formats.md, "Envelope". Transcript records (XChaCha20-Poly1305) are not for browsers yet.

import { concat, equal, head, need, Reader, u32 } from "./codec.js";
import { decrypt, encrypt, random } from "./keys.js";

export const BODY = 0x01;
export const WRAPPED_KEY = 0x02;
export const LOCKED_HALF = 0x03;
const TRANSCRIPT_RECORD = 0x04;
const AES_GCM = Uint8Array.of(1, 0);

export async function sealEnvelope(kind, epoch, key, context, plaintext) {
  need(kind !== TRANSCRIPT_RECORD);
  const nonce = random(12);
  const before = concat(head(kind), AES_GCM, u32(epoch), nonce);
  return concat(before, await encrypt(key, nonce, plaintext, concat(before, context)));
}

/** Returns the epoch and the plaintext. */
export async function openEnvelope(kind, key, context, sealed) {
  need(kind !== TRANSCRIPT_RECORD);
  const reader = new Reader(sealed, kind);
  need(equal(reader.take(2), AES_GCM));
  const epoch = reader.u32();
  const nonce = reader.take(12);
  const before = sealed.slice(0, reader.at);
  return { epoch, plaintext: await decrypt(key, nonce, reader.rest(), concat(before, context)) };
}
