// Making a vault, whole in the browser.

import { need } from "./codec.js";
import { newSigning, random } from "./keys.js";
import { keyringBytes, keyringId, makeObject, newKeyring, objectBytes } from "./object.js";
import { isStretched, MAX_STRETCHED_SLOTS, PASSPHRASE } from "./slot.js";
import { makeSlot } from "./slot_make.js";
import { Vault } from "./vault.js";
import { changed } from "./vault_change.js";

/** A new vault with these slots, each { secret, kind, cost }: the vault, and what to upload of it. */
export async function createVault(scope, slots) {
  const kinds = slots.map(({ kind = PASSPHRASE }) => kind).filter(isStretched);
  need(slots.length >= 1 && kinds.every((kind) => kinds.filter((one) => one === kind).length <= MAX_STRETCHED_SLOTS));
  const [signing, identity] = [await newSigning(), await newSigning()];
  const [vaultKey, keyring, epoch] = [random(32), newKeyring(signing.seed, identity.seed), 1];
  const made = [];
  for (const { secret, ...how } of slots) made.push(await makeSlot(scope, vaultKey, epoch, signing, secret, how));
  const plaintext = keyringBytes(keyring);
  const object = await makeObject(scope, vaultKey, epoch, await keyringId(), 1, plaintext);
  plaintext.fill(0);
  const manifest = { counter: 0n, epoch, hosts: [], anchors: [] };
  const state = { scope, slots: made, manifest, leaves: [], present: signing.public, through: null };
  const vault = new Vault(state, vaultKey, keyring);
  const first = await changed(vault, [object]);
  vault.apply(first);
  const upload = {
    verifyKey: state.present,
    slots: vault.slots.map((slot) => slot.stored),
    objects: [objectBytes(object)],
    manifest: first.signed,
  };
  return { vault, upload };
}
