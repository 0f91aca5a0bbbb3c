// The keys of owners that this browser knows, by guardianship: a node that shows another one is not believed.

import { hex, unhex } from "../core/codec.js";
import { claimedOwner, verifySet } from "../core/guardian.js";
import { Told } from "./shown.js";

const pinAt = (guardianship) => `ocmt.owner.${guardianship}`;

/** Pins an owner's key, in hexadecimal; another than before is refused. */
export function pin(guardianship, key) {
  const before = localStorage.getItem(pinAt(guardianship));
  if (before !== null && before !== key) throw new Told("other_owner");
  localStorage.setItem(pinAt(guardianship), key);
}

/** The set, in hexadecimal, verified under the owner's pinned key; in a browser that knows none, under the key that the set names, which is known from then on. */
export async function knownSet(guardianship, signed) {
  const bytes = unhex(signed);
  const owner = claimedOwner(bytes);
  const set = await verifySet(bytes, owner);
  pin(guardianship, hex(owner));
  return set;
}
