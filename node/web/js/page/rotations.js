// What this browser keeps of the rotations of a vault: which one it began, so that it goes on with its own alone, and that one is
// due. No secrets; signing out forgets both, and then a rotation is begun anew.

import { hex } from "../core/codec.js";

const begunAt = (vault) => `ocmt.rotation.${vault}`;
const dueAt = (vault) => `ocmt.due.${vault}`;

const named = ({ manifestHash }, verifyKey) => `${hex(manifestHash)}:${hex(verifyKey)}`;

/** Kept before the node hears of it: from which state of the vault it was begun, and to which key. */
export const begun = (vault, seen, verifyKey) => localStorage.setItem(begunAt(vault), named(seen, verifyKey));

/** Whether this browser began the rotation to this key, from this very state. */
export const isOwn = (vault, seen, verifyKey) => localStorage.getItem(begunAt(vault)) === named(seen, verifyKey);

/** Somebody may have kept the keys of this epoch. */
export const nowDue = (vault, epoch) => localStorage.setItem(dueAt(vault), String(epoch));

export const isDue = (vault, epoch) => localStorage.getItem(dueAt(vault)) === String(epoch);

/** It is finished. Where data keys were only wrapped anew, what was due still is. */
export function ended(vault, before, now, rekeyed) {
  localStorage.removeItem(begunAt(vault));
  if (!rekeyed && isDue(vault, before)) nowDue(vault, now);
}
