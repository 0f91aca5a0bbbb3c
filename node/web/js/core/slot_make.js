// Making a key slot, and the same slot for other keys of the vault: docs/formats.md, "Key slot".

import { concat, head, need, u32, u8, varied } from "./codec.js";
import { LOCKED_HALF, sealEnvelope } from "./envelope.js";
import { seal } from "./hpke.js";
import { random, sign, x25519Public } from "./keys.js";
import { BACKUP, halfPlace, KIND, lockKeyOf, PASSPHRASE, readSlot, RECOVERY, slotPlace, VAULT_KEY, wipeHalf } from "./slot.js";
import { DEFAULT, stretchBytes } from "./stretch.js";

/** Of a slot's parts, the slot as it is stored. */
async function signed(slot, scope, seed) {
  const front = concat(head(KIND), slot.id, u8(slot.kind), slot.lock, slot.public, varied(slot.half));
  const body = concat(front, u32(slot.epoch), varied(slot.sealedKey));
  return readSlot(concat(body, await sign(seed, "key slot", concat(scope, body))));
}

async function lockedHalf(slot, scope, half, verifyKey) {
  const plaintext = concat(half.private, verifyKey);
  try {
    return await sealEnvelope(LOCKED_HALF, slot.epoch, half.lockKey, halfPlace(slot, scope), plaintext);
  } finally {
    plaintext.fill(0);
  }
}

const sealedKey = (slot, scope, vaultKey) =>
  seal(slot.public, concat(VAULT_KEY, slotPlace(scope, slot.id, slot.kind)), u32(slot.epoch), vaultKey);

/** A new slot of a vault with this signing key, by passphrase (a `secret` of `passphraseBytes`) or, with `kind`, by backup key or recovery key. */
export async function makeSlot(scope, vaultKey, epoch, { seed, public: verifyKey }, secret, { kind = PASSPHRASE, cost = DEFAULT } = {}) {
  need(kind === PASSPHRASE || kind === BACKUP || kind === RECOVERY);
  const slot = { id: random(16), kind, stretch: null, salt: new Uint8Array(32), epoch };
  slot.id[6] = (slot.id[6] & 0x0f) | 0x40;
  slot.id[8] = (slot.id[8] & 0x3f) | 0x80;
  if (kind === RECOVERY) {
    slot.salt = random(32);
    slot.lock = slot.salt;
  } else {
    slot.stretch = { ...cost, salt: random(16) };
    slot.lock = stretchBytes(slot.stretch);
  }
  const half = { private: random(32), lockKey: await lockKeyOf(slot, scope, secret) };
  try {
    slot.public = await x25519Public(half.private);
    slot.half = await lockedHalf(slot, scope, half, verifyKey);
  } finally {
    wipeHalf(half);
  }
  slot.sealedKey = await sealedKey(slot, scope, vaultKey);
  return signed(slot, scope, seed);
}

/**
 * The same slot for another vault key, signed by another key: no secret of its own is needed. `half`, where the slot is open,
 * brings the newer verify key into what is locked.
 */
export async function resealed(before, scope, vaultKey, epoch, { seed, public: verifyKey }, half = null) {
  const slot = { ...before, epoch };
  slot.sealedKey = await sealedKey(slot, scope, vaultKey);
  if (half !== null) slot.half = await lockedHalf(slot, scope, half, verifyKey);
  return signed(slot, scope, seed);
}

/** The same slot with a newer verify key in what is locked. */
export async function relocked(before, scope, { seed, public: verifyKey }, half) {
  return signed({ ...before, half: await lockedHalf(before, scope, half, verifyKey) }, scope, seed);
}
