// Making a key slot: docs/formats.md, "Key slot".

import { concat, head, need, u32, u8, varied } from "./codec.js";
import { LOCKED_HALF, sealEnvelope } from "./envelope.js";
import { seal } from "./hpke.js";
import { random, sign, x25519Public } from "./keys.js";
import { BACKUP, KIND, PASSPHRASE, readSlot, RECOVERY, slotPlace, VAULT_KEY, withLockKey } from "./slot.js";
import { DEFAULT, stretchBytes } from "./stretch.js";

/** A new slot of a vault with this signing key, by passphrase (a `secret` of `passphraseBytes`) or, with `kind`, by backup key or recovery key. */
export async function makeSlot(scope, vaultKey, epoch, { seed, public: verifyKey }, secret, { kind = PASSPHRASE, cost = DEFAULT } = {}) {
  need(kind === PASSPHRASE || kind === BACKUP || kind === RECOVERY);
  const slot = { id: random(16), kind, stretch: null, salt: new Uint8Array(32) };
  slot.id[6] = (slot.id[6] & 0x0f) | 0x40;
  slot.id[8] = (slot.id[8] & 0x3f) | 0x80;
  if (kind === RECOVERY) {
    slot.salt = random(32);
    slot.lock = slot.salt;
  } else {
    slot.stretch = { ...cost, salt: random(16) };
    slot.lock = stretchBytes(slot.stretch);
  }
  const half = random(32);
  slot.public = await x25519Public(half);
  const place = slotPlace(scope, slot.id, kind);
  const plaintext = concat(half, verifyKey);
  const context = concat(place, slot.lock, slot.public);
  const lock = (key) => sealEnvelope(LOCKED_HALF, epoch, key, context, plaintext);
  const locked = await withLockKey(slot, scope, secret, lock);
  plaintext.fill(0);
  half.fill(0);
  const sealed = await seal(slot.public, concat(VAULT_KEY, place), u32(epoch), vaultKey);
  const front = concat(head(KIND), slot.id, u8(kind), slot.lock, slot.public, varied(locked));
  const body = concat(front, u32(epoch), varied(sealed));
  return readSlot(concat(body, await sign(seed, "key slot", concat(scope, body))));
}
