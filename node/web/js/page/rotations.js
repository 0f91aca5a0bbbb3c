// What this browser keeps of the rotations of a vault: which one it began, so that it goes on with its own alone, and that one is
// due. No secrets; signing out forgets both, and then a rotation is begun anew.

import { hex } from "../core/codec.js";

/** As core/vault_rotate.js has it, which most pages do not load. */
const REKEY = 2;

const begunAt = (vault) => `ocmt.rotation.${vault}`;
const dueAt = (vault) => `ocmt.due.${vault}`;

const named = ({ manifestHash }, verifyKey) => `${hex(manifestHash)}:${hex(verifyKey)}`;

/** Kept before the node hears of it: from which state of the vault it was begun, to which key, and what it does. */
export const begun = (vault, seen, verifyKey, mode) => localStorage.setItem(begunAt(vault), `${named(seen, verifyKey)}:${mode}`);

/** What the rotation to this key does, if this browser began it from this very state; else null. No node's word stands for it. */
export function ownMode(vault, seen, verifyKey) {
  const [from, to, mode] = (localStorage.getItem(begunAt(vault)) ?? "").split(":");
  return `${from}:${to}` === named(seen, verifyKey) ? Number(mode) : null;
}

/** Somebody may have kept the keys of this epoch. */
export const nowDue = (vault, epoch) => localStorage.setItem(dueAt(vault), String(epoch));

export const isDue = (vault, epoch) => localStorage.getItem(dueAt(vault)) === String(epoch);

/** At an opening: the rotation whose keys the vault has by now is finished, though its answer was lost or its page closed before. */
export function settle(vault, { verifyKey }, epoch) {
  const [, to, mode] = (localStorage.getItem(begunAt(vault)) ?? "").split(":");
  if (to === hex(verifyKey)) ended(vault, epoch - 1, epoch, Number(mode) === REKEY);
}

/** It is finished. Where data keys were only wrapped anew, what was due still is. */
export function ended(vault, before, now, rekeyed) {
  localStorage.removeItem(begunAt(vault));
  if (!rekeyed && isDue(vault, before)) nowDue(vault, now);
}
