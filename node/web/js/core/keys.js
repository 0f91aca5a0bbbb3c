// WebCrypto, with the strictness and the domains of docs/formats.md on top. Keys are 32 plain bytes.

import { concat, equal, need, Refused, u8, utf8 } from "./codec.js";

const subtle = globalThis.crypto.subtle;

export const random = (length) => globalThis.crypto.getRandomValues(new Uint8Array(length));

export async function sha256(...parts) {
  return new Uint8Array(await subtle.digest("SHA-256", concat(...parts)));
}

export async function mac(key, message) {
  // WebCrypto refuses an empty HMAC key, and HMAC pads with zeros: a key of zeros is the same key
  const raw = key.length === 0 ? new Uint8Array(32) : key;
  const used = await subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", used, message));
}

/** HKDF-Expand of RFC 5869, alone: HPKE expands from keys that it extracted itself. */
export async function expand(key, info, length = 32) {
  let out = new Uint8Array();
  let block = new Uint8Array();
  for (let counter = 1; out.length < length; counter += 1) {
    block = await mac(key, concat(block, info, u8(counter)));
    out = concat(out, block);
  }
  return out.slice(0, length);
}

export const hkdf = async (salt, secret, info, length = 32) => expand(await mac(salt, secret), info, length);

// ---- AES-256-GCM

async function aes(key, use) {
  need(key.length === 32);
  return subtle.importKey("raw", key, "AES-GCM", false, [use]);
}

export async function encrypt(key, nonce, plaintext, aad) {
  const how = { name: "AES-GCM", iv: nonce, additionalData: aad };
  return new Uint8Array(await subtle.encrypt(how, await aes(key, "encrypt"), plaintext));
}

export async function decrypt(key, nonce, ciphertext, aad) {
  need(ciphertext.length >= 16);
  const how = { name: "AES-GCM", iv: nonce, additionalData: aad };
  try {
    return new Uint8Array(await subtle.decrypt(how, await aes(key, "decrypt"), ciphertext));
  } catch {
    throw new Refused();
  }
}

// ---- X25519 and Ed25519: private halves go in as PKCS #8 (RFC 8410), which has these fixed bytes before the key

const PKCS8 = {
  X25519: Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 110, 4, 34, 4, 32),
  Ed25519: Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32),
};

async function privateKey(name, bytes, uses, extractable = false) {
  need(bytes.length === 32);
  const wrapped = concat(PKCS8[name], bytes);
  try {
    return await subtle.importKey("pkcs8", wrapped, { name }, extractable, uses);
  } finally {
    wrapped.fill(0);
  }
}

const BASE_POINT = Uint8Array.of(9, ...new Uint8Array(31));

/** The public half: the product with the base point, so that the private one never leaves its key. */
export const x25519Public = (secret) => x25519(secret, BASE_POINT);

/** A new signing key, both halves. */
export async function newSigning() {
  const pair = await subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const wrapped = new Uint8Array(await subtle.exportKey("pkcs8", pair.privateKey));
  need(wrapped.length === 48 && equal(wrapped.subarray(0, 16), PKCS8.Ed25519));
  const seed = wrapped.slice(16);
  wrapped.fill(0);
  return { seed, public: new Uint8Array(await subtle.exportKey("raw", pair.publicKey)) };
}

/** Whether they are halves of one signing key: tried, by a signature of a purpose that nobody else takes. */
export async function areHalves(seed, key) {
  const message = random(32);
  const signature = await sign(seed, "halves of a key", message);
  return verify(key, "halves of a key", message, signature).then(() => true, () => false);
}

/**
 * The public half of a seed. WebCrypto tells it only in a JWK, which has the seed as text beside it, and texts cannot be
 * overwritten: so this is for where nobody knows the half. What is known is held against the seed by `areHalves`.
 */
export async function ed25519Public(seed) {
  const jwk = await subtle.exportKey("jwk", await privateKey("Ed25519", seed, ["sign"], true));
  return Uint8Array.from(atob(jwk.x.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

export async function x25519(secret, theirs) {
  const ours = await privateKey("X25519", secret, ["deriveBits"]);
  try {
    const key = await subtle.importKey("raw", theirs, { name: "X25519" }, false, []);
    const shared = new Uint8Array(await subtle.deriveBits({ name: "X25519", public: key }, ours, 256));
    // of a point of low order; the browser should have refused, and is not trusted to
    need(!equal(shared, new Uint8Array(32)));
    return shared;
  } catch {
    throw new Refused();
  }
}

const signed = (purpose, message) => concat(utf8(`OCMT ${purpose} v1\0`), message);

export async function sign(seed, purpose, message) {
  const key = await privateKey("Ed25519", seed, ["sign"]);
  return new Uint8Array(await subtle.sign("Ed25519", key, signed(purpose, message)));
}

export async function verify(key, purpose, message, signature) {
  return verifyRaw(key, signed(purpose, message), signature);
}

/** Without a domain: for the published vectors. Strict, as the browsers are not: see `strict`. */
export async function verifyRaw(key, message, signature) {
  need(signature.length === 64 && strict(key) && strict(signature.subarray(0, 32)));
  try {
    const used = await subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    need(await subtle.verify("Ed25519", used, signature, message));
  } catch {
    throw new Refused();
  }
}

const P = (1n << 255n) - 19n;
/** The y of the points of order 1, 2, 4 and 8 (libsodium has the same list). */
const SMALL = new Set([
  0n,
  1n,
  P - 1n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  P - 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
]);

/** A canonical encoding of a point that is not of small order: under one of those, one signature fits many messages. */
function strict(point) {
  if (point.length !== 32) return false;
  const y = point.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n) & ((1n << 255n) - 1n);
  return y < P && !SMALL.has(y);
}
