// Key slots: docs/formats.md, "Key slot".

import { concat, equal, need, Reader, u8, u32, utf8, varied } from "./codec.js";
import { LOCKED_HALF, openEnvelope } from "./envelope.js";
import { unseal } from "./hpke.js";
import { hkdf, verify, x25519Public } from "./keys.js";
import { readStretch, stretched } from "./stretch.js";

export const PASSPHRASE = 1;
export const BACKUP = 2;
export const HARDWARE = 3;
export const RECOVERY = 4;
export const MEMBER = 5;

/** Slots of one kind that a secret is stretched for: trying it costs an Argon2id on each, and the node says how many there are. */
export const MAX_STRETCHED_SLOTS = 4;

export const KIND = 0x10;
const LOCK = utf8("OCMT slot lock v1\0");
export const VAULT_KEY = utf8("OCMT slot vault key v1\0");

export const isStretched = (kind) => kind === PASSPHRASE || kind === BACKUP || kind === HARDWARE;

export const slotPlace = (scope, id, kind) => concat(scope, id, u8(kind));

/** A slot as it is stored. `locked` is what stands in it of its lock. */
export function readSlot(stored) {
  const reader = new Reader(stored, KIND);
  const slot = { stored, id: reader.take(16), kind: reader.u8(), stretch: null, salt: new Uint8Array(32) };
  need(slot.kind >= PASSPHRASE && slot.kind <= MEMBER);
  const from = reader.at;
  if (slot.kind === HARDWARE) reader.take(32);
  if (isStretched(slot.kind)) slot.stretch = readStretch(reader);
  if (slot.kind === RECOVERY) slot.salt = reader.take(32);
  slot.lock = stored.slice(from, reader.at);
  slot.public = reader.take(32);
  slot.half = reader.varied(104);
  need(slot.half.length === (slot.kind === MEMBER ? 0 : 104));
  slot.epoch = reader.u32();
  slot.sealedKey = reader.varied(81);
  slot.signature = reader.take(64);
  reader.done();
  return slot;
}

export const checkSlot = (slot, scope, verifyKey) =>
  verify(verifyKey, "key slot", concat(scope, slot.stored.slice(0, -64)), slot.signature);

/** What locks the slot's private half, for the caller to overwrite. */
export async function lockKeyOf(slot, scope, secret) {
  const s = slot.stretch === null ? secret.slice() : await stretched(secret, slot.stretch);
  const key = await hkdf(slot.salt, s, concat(LOCK, slotPlace(scope, slot.id, slot.kind)));
  s.fill(0);
  return key;
}

/** What the locked half is bound to. */
export const halfPlace = (slot, scope) => concat(slotPlace(scope, slot.id, slot.kind), slot.lock, slot.public);

/**
 * What the slot's secret alone opens: its private half and the verify key that the vault had when it was locked. With them what
 * locks it, for a newer verify key.
 */
export async function openHalf(slot, scope, secret) {
  need(slot.kind !== MEMBER);
  const lockKey = await lockKeyOf(slot, scope, secret);
  const half = { private: new Uint8Array(), pinned: null, lockKey };
  try {
    const { plaintext } = await openEnvelope(LOCKED_HALF, lockKey, halfPlace(slot, scope), slot.half);
    need(plaintext.length === 64);
    half.private = plaintext.slice(0, 32);
    half.pinned = plaintext.slice(32);
    plaintext.fill(0);
    need(equal(await x25519Public(half.private), slot.public));
    return half;
  } catch (error) {
    wipeHalf(half);
    throw error;
  }
}

export function wipeHalf(half) {
  half?.private.fill(0);
  half?.lockKey.fill(0);
}

/** The vault key. Only after everything has been checked: see `openVault`. */
export async function openVaultKey(slot, scope, half) {
  const info = concat(VAULT_KEY, slotPlace(scope, slot.id, slot.kind));
  const key = await unseal(half.private, info, u32(slot.epoch), slot.sealedKey);
  need(key.length === 32);
  return key;
}
