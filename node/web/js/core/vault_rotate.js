// Rotation: a new vault key and signing key, and every object taken over to them (docs/formats.md, "Rotation"). What is uploaded
// first lets a later page or a terminal go on with it. Of the vault nothing changes until `Vault.take`.
//
// The vault may be closed meanwhile, which overwrites its keys: what is made here has copies of them, and nothing is given out
// by which a vault that was closed could be written.

import { compare, equal, hex, need } from "./codec.js";
import { areHalves, newSigning, random, sha256 } from "./keys.js";
import { checkSuccession, makeSuccession, MAX_SLOTS, openManifest, proves, readSuccession, signManifest } from "./manifest.js";
import { copied, keyringBytes, keyringId, leafOf, makeObject, objectBytes, openObject, readKeyring, readObject, rootOf } from "./object.js";
import { isTurned, rekeyed, rewrapped, turned } from "./object_rotate.js";
import { checkSlot, openVaultKey, readSlot } from "./slot.js";
import { resealed } from "./slot_make.js";
import { sameSlot } from "./vault.js";

/** Data keys go under the next vault key: nothing is taken away from who had them. */
export const REWRAP = 1;
/** Everything is encrypted anew under fresh data keys. */
export const REKEY = 2;

/** The slots that the manifest names, all of them whole: `shown`, as stored, are what a node kept back until the unlock was proved. */
async function whole({ scope, slots, present, manifest }, shown) {
  const told = shown.map(readSlot);
  const all = slots.map((one) => (one.stored === undefined ? told.find((slot) => sameSlot(slot, one)) : one));
  for (const slot of all) {
    need(slot !== undefined && slot.epoch === manifest.epoch);
    await checkSlot(slot, scope, present);
  }
  return all;
}

/** Begins one that keeps every slot. `shown` are the slots that the node tells once an unlock is proved. */
export async function beginRotation(vault, mode, shown) {
  need(mode === REWRAP || mode === REKEY);
  const { state, keyring, half } = vault.inside((now, _, keys, door) => ({ state: now, keyring: copied(keys), half: door }));
  const { scope, present } = state;
  const epoch = state.manifest.epoch + 1;
  const signing = await newSigning();
  const next = { vaultKey: random(32), epoch, keyring: turned(keyring, signing.seed, mode === REKEY) };
  try {
    const slots = [];
    for (const slot of await whole(state, shown)) {
      const own = state.through !== null && equal(slot.id, state.through) ? half : null;
      slots.push(await resealed(slot, scope, next.vaultKey, epoch, signing, own));
    }
    const link = { epoch, old: present, next: signing.public };
    const succession = await makeSuccession(scope, link, keyring.signing);
    const ring = await keyringId();
    const plaintext = keyringBytes(next.keyring);
    const object = await makeObject(scope, next.vaultKey, epoch, ring, vault.versionOf(ring) + 1n, plaintext);
    plaintext.fill(0);
    need(vault.isOpen);
    const start = { epoch, verifyKey: signing.public, succession, slots: slots.map(({ stored }) => stored), keyring: objectBytes(object) };
    return new Rotation(vault, state, mode, next, start, slots);
  } catch (error) {
    wipe(next);
    throw error;
  } finally {
    for (const key of [signing.seed, ...Object.values(keyring)]) key.fill(0);
  }
}

/**
 * Goes on with one that was begun from this state of the vault. Who may have begun it is for the caller to know: whoever is to be
 * shut out knows where theirs leads.
 */
export async function resumeRotation(vault, mode, start) {
  need(mode === REWRAP || mode === REKEY);
  const { state, keyring, half } = vault.inside((now, _, keys, door) => ({ state: now, keyring: copied(keys), half: door }));
  const next = { vaultKey: new Uint8Array(), epoch: start.epoch, keyring: {} };
  try {
    const slots = await following(state, start);
    const own = slots.find(({ id }) => state.through !== null && equal(id, state.through));
    need(own !== undefined && half !== null);
    next.vaultKey = await openVaultKey(own, state.scope, half);
    const object = readObject(start.keyring);
    const ring = await keyringId();
    need(equal(object.id, ring) && object.version === vault.versionOf(ring) + 1n);
    const plaintext = await openObject(object, state.scope, next.vaultKey, start.epoch);
    next.keyring = readKeyring(plaintext);
    plaintext.fill(0);
    need(isTurned(next.keyring, keyring, mode === REKEY) && (await areHalves(next.keyring.signing, start.verifyKey)));
    need(vault.isOpen);
    return new Rotation(vault, state, mode, next, start, slots);
  } catch (error) {
    wipe(next);
    throw error;
  } finally {
    for (const key of Object.values(keyring)) key.fill(0);
  }
}

/** The slots of a rotation that leads on from this state, to all slots that it has. */
async function following({ scope, slots: before, present, manifest }, start) {
  const link = readSuccession(start.succession);
  await checkSuccession(scope, link);
  need(equal(link.old, present) && equal(link.next, start.verifyKey) && link.epoch === start.epoch);
  need(start.epoch === manifest.epoch + 1 && start.slots.length <= MAX_SLOTS && start.slots.length === before.length);
  const slots = start.slots.map(readSlot);
  for (const slot of slots) {
    need(slot.epoch === start.epoch);
    await checkSlot(slot, scope, start.verifyKey);
  }
  need(before.every((one) => slots.some((slot) => sameSlot(slot, one))));
  return slots;
}

function wipe({ vaultKey, keyring }) {
  for (const key of [vaultKey, ...Object.values(keyring)]) key.fill(0);
}

/** One under way. Its keys stay in this object; `wipe` overwrites them. */
class Rotation {
  #vault;
  #state;
  #mode;
  #next;
  #slots;
  /** What the manifest has, by id. */
  #before;
  /** Of what was taken over, by id. */
  #leaves = new Map();

  constructor(vault, state, mode, next, start, slots) {
    this.#vault = vault;
    this.#state = state;
    this.#before = new Map(state.leaves.map((leaf) => [hex(leaf.id), leaf]));
    this.#mode = mode;
    this.#next = next;
    this.#slots = slots;
    this.start = start;
  }

  /** The leaves of what is still to be converted or adopted; the keyring is there from the start. */
  async left() {
    const ring = await keyringId();
    return this.#state.leaves.filter(({ id }) => !equal(id, ring) && !this.#leaves.has(hex(id)));
  }

  /** Takes over an object that the node shows: what is to be staged for it. */
  async convert(stored) {
    const object = readObject(stored);
    const before = this.#before.get(hex(object.id));
    const leaf = await leafOf(object);
    need(before !== undefined && before.version === leaf.version && equal(before.hash, leaf.hash));
    const { scope } = this.#state;
    const convert = this.#mode === REKEY ? rekeyed : rewrapped;
    const now = (_, vaultKey) => ({ vaultKey, epoch: this.#state.manifest.epoch });
    const converted = await convert(object, scope, this.#vault.inside(now), this.#next);
    need(this.#vault.isOpen);
    this.#leaves.set(hex(object.id), await leafOf(converted));
    return converted;
  }

  /** Takes over what was staged before: believed only because it opens under the next vault key, at the version that it must have. */
  async adopt(stored) {
    const object = readObject(stored);
    const before = this.#before.get(hex(object.id));
    // the keyring is there from the start
    need(before !== undefined && !equal(object.id, await keyringId()));
    const leaf = await leafOf(object);
    need(leaf.version === before.version + (this.#mode === REKEY ? 1n : 0n));
    need(this.#mode === REKEY || equal(leaf.hash, before.hash));
    const plaintext = await openObject(object, this.#state.scope, this.#next.vaultKey, this.#next.epoch);
    plaintext.fill(0);
    this.#leaves.set(hex(object.id), leaf);
  }

  /** Signs the manifest of the state after: what to send, and for `Vault.take`. */
  async finish() {
    need((await this.left()).length === 0);
    const { scope, manifest: before, manifestHash: base } = this.#state;
    const { vaultKey, epoch, keyring } = this.#next;
    const ring = await leafOf(readObject(this.start.keyring));
    const leaves = [...this.#leaves.values(), ring].sort((one, other) => compare(one.id, other.id));
    const slots = [...this.#slots].sort((one, other) => compare(one.id, other.id));
    const manifest = { ...before, counter: before.counter + 1n, epoch, objects: leaves.length, root: await rootOf(leaves), slots };
    const present = this.start.verifyKey;
    const signed = await signManifest(manifest, scope, keyring.signing);
    need(await proves(await openManifest(signed, scope, present), leaves));
    const state = { ...this.#state, slots, manifest, manifestHash: await sha256(signed), leaves, present };
    need(this.#vault.isOpen);
    return { signed, base, state, vaultKey, keyring };
  }

  wipe() {
    wipe(this.#next);
  }
}
