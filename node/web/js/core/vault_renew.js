// The slot in use, brought up to date: after a rotation it still leads in through the verify key of before.

import { equal } from "./codec.js";
import { relocked } from "./slot_make.js";

/** The slot that opened the vault, with the present verify key in its locked half; null if that is there, or none opened it. */
export async function renewed(vault) {
  const { state, signing, half } = vault.inside((now, _, keys, door) => ({ state: now, signing: keys.signing, half: door }));
  const { scope, slots, present, through } = state;
  if (half === null || equal(half.pinned, present)) return null;
  const slot = slots.find(({ id }) => equal(id, through));
  return slot === undefined ? null : relocked(slot, scope, { seed: signing, public: present }, half);
}
