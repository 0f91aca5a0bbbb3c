// HPKE (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: base and auth mode, first message and
// export, which is all that OCMT uses. Held to the RFC's own vectors. On top of it the sealed box of docs/formats.md.

import { concat, need, u8, utf8 } from "./codec.js";
import { decrypt, encrypt, expand, mac, random, x25519, x25519Public } from "./keys.js";

const NONE = new Uint8Array();
const KEM = concat(utf8("KEM"), Uint8Array.of(0, 0x20));
const SUITE = concat(utf8("HPKE"), Uint8Array.of(0, 0x20, 0, 1, 0, 2));

const extract = (suite, salt, label, ikm) => mac(salt, concat(utf8("HPKE-v1"), suite, utf8(label), ikm));

const labeledExpand = (suite, key, label, info, length) =>
  expand(key, concat(Uint8Array.of(length >> 8, length & 255), utf8("HPKE-v1"), suite, utf8(label), info), length);

/** DHKEM's DeriveKeyPair of section 7.1.3: for the vectors, which give the keys' material. */
export async function deriveSecret(ikm) {
  return labeledExpand(KEM, await extract(KEM, NONE, "dkp_prk", ikm), "sk", NONE, 32);
}

/** Section 5.1: key, nonce and exporter of mode 0 (base) or 2 (auth). */
async function schedule(mode, points, kemContext, info) {
  const prk = await extract(KEM, NONE, "eae_prk", points);
  points.fill(0);
  const shared = await labeledExpand(KEM, prk, "shared_secret", kemContext, 32);
  prk.fill(0);
  const context = concat(
    u8(mode),
    await extract(SUITE, NONE, "psk_id_hash", NONE),
    await extract(SUITE, NONE, "info_hash", info),
  );
  const secret = await extract(SUITE, shared, "secret", NONE);
  shared.fill(0);
  const exporter = await labeledExpand(SUITE, secret, "exp", context, 32);
  const key = await labeledExpand(SUITE, secret, "key", context, 32);
  const nonce = await labeledExpand(SUITE, secret, "base_nonce", context, 12);
  secret.fill(0);
  const exported = (of, length) => labeledExpand(SUITE, exporter, "sec", of, length);
  const wipe = () => {
    key.fill(0);
    exporter.fill(0);
  };
  return { key, nonce, export: exported, wipe };
}

/** The sender's side. `sender` is the sender's secret in auth mode; `ephemeral` is given by the vectors alone. */
export async function sending(theirs, info, { sender = null, ephemeral = random(32) } = {}) {
  const enc = await x25519Public(ephemeral);
  let points = await x25519(ephemeral, theirs);
  let context = concat(enc, theirs);
  if (sender !== null) {
    points = concat(points, await x25519(sender, theirs));
    context = concat(context, await x25519Public(sender));
  }
  const { key, nonce, ...rest } = await schedule(sender === null ? 0 : 2, points, context, info);
  ephemeral.fill(0);
  return { enc, ...rest, seal: (message, aad) => encrypt(key, nonce, message, aad) };
}

/** The receiver's side. `sender` is the sender's public key in auth mode. */
export async function receiving(secret, enc, info, { sender = null } = {}) {
  let points = await x25519(secret, enc);
  let context = concat(enc, await x25519Public(secret));
  if (sender !== null) {
    points = concat(points, await x25519(secret, sender));
    context = concat(context, sender);
  }
  const { key, nonce, ...rest } = await schedule(sender === null ? 0 : 2, points, context, info);
  return { ...rest, open: (ciphertext, aad) => decrypt(key, nonce, ciphertext, aad) };
}

// ---- sealed box

const ALG = 1;
export const OVERHEAD = 49;

export async function seal(theirs, info, aad, message) {
  const to = await sending(theirs, info);
  try {
    return concat(u8(ALG), to.enc, await to.seal(message, aad));
  } finally {
    to.wipe();
  }
}

export async function unseal(secret, info, aad, sealed) {
  need(sealed.length >= OVERHEAD && sealed[0] === ALG);
  const from = await receiving(secret, sealed.slice(1, 33), info);
  try {
    return await from.open(sealed.slice(33), aad);
  } finally {
    from.wipe();
  }
}
