// Changes of an open vault: sealed and signed here, uploaded by the caller, and true of the vault with `apply` alone. Keys are
// asked for where they are used, so that of a vault that was closed meanwhile nothing is signed.

import { compare, equal, need } from "./codec.js";
import { sha256 } from "./keys.js";
import { openManifest, proves, signManifest } from "./manifest.js";
import { entryBytes, leafOf, makeObject, rootOf } from "./object.js";
import { MAX_STRETCHED_SLOTS, PASSPHRASE } from "./slot.js";
import { makeSlot } from "./slot_make.js";
import { onward, sameSlot } from "./vault.js";

/** Seals an entry as the next version of its name; with `changed`, it can be uploaded. */
export async function sealEntry(vault, entry) {
  const id = await vault.entryId(entry.name);
  const version = vault.versionOf(id) + 1n;
  const plaintext = entryBytes(entry);
  return vault.inside((_, vaultKey) => makeObject(vault.scope, vaultKey, vault.epoch, id, version, plaintext))
    .finally(() => plaintext.fill(0));
}

/** A new slot for a secret, for `changed` to take in beside the others. */
export async function newSlot(vault, secret, how = {}) {
  const kind = how.kind ?? PASSPHRASE;
  need(vault.slots.filter((one) => one.kind === kind).length < MAX_STRETCHED_SLOTS);
  return vault.inside(({ present }, vaultKey, { signing }) =>
    makeSlot(vault.scope, vaultKey, vault.epoch, { seed: signing, public: present }, secret, how));
}

/**
 * The state with these objects written and those of these ids deleted, under these slots, and its signed manifest. Nothing
 * changes in the vault until `apply`.
 */
export async function changed(vault, objects, { deleted = [], slots = vault.slots } = {}) {
  const state = vault.inside((now) => now);
  const written = await Promise.all(objects.map(leafOf));
  need(written.every((leaf) => leaf.version === vault.versionOf(leaf.id) + 1n));
  need(slots.length >= 1 && deleted.every((id) => vault.versionOf(id) > 0n));
  const gone = [...written.map(({ id }) => id), ...deleted];
  const stays = state.leaves.filter((leaf) => !gone.some((id) => equal(id, leaf.id)));
  const leaves = [...stays, ...written].sort((one, other) => compare(one.id, other.id));
  const sorted = [...slots].sort((one, other) => compare(one.id, other.id));
  const manifest = { ...state.manifest, counter: state.manifest.counter + 1n, objects: leaves.length, slots: sorted };
  manifest.root = await rootOf(leaves);
  const signed = await vault.inside((_, __, { signing }) => signManifest(manifest, state.scope, signing));
  // what this browser would not open again it does not give out: more objects than lawful, one id twice
  need(await proves(await openManifest(signed, state.scope, state.present), leaves));
  return { signed, state: { ...state, slots: sorted, manifest, manifestHash: await sha256(signed), leaves } };
}

/**
 * The state that a node shows now of the open vault, which another device may have written: refused unless this vault's own
 * key signed it, and if it is older. For `apply`, too. What was rotated has to be opened anew.
 */
export async function followed(vault, { manifest: signed, leaves }, seen = vault.seen) {
  const state = vault.inside((now) => now);
  const manifest = await openManifest(signed, state.scope, state.present);
  const manifestHash = await sha256(signed);
  onward(manifest, manifestHash, vault.seen);
  onward(manifest, manifestHash, seen);
  need(manifest.epoch === state.manifest.epoch && (await proves(manifest, leaves)));
  const slots = manifest.slots.map((one) => state.slots.find((slot) => sameSlot(slot, one)) ?? one);
  return { state: { ...state, slots, manifest, manifestHash, leaves } };
}
