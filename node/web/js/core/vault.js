// A vault in the browser: opened only after everything was checked, in the order of docs/formats.md, "Unlocking".

import { compare, concat, equal, need, Refused, u8 } from "./codec.js";
import { areHalves, newSigning, random, sha256, sign } from "./keys.js";
import { follow, MAX_SLOTS, openManifest, proves, signManifest } from "./manifest.js";
import {
  entryBytes, entryId, keyringBytes, keyringId, leafOf, makeObject, newKeyring, objectBytes, openObject, readEntry,
  readKeyring, readObject, rootOf,
} from "./object.js";
import { checkSlot, isStretched, makeSlot, openHalf, openVaultKey, PASSPHRASE, readSlot } from "./slot.js";

/** Trying a secret on a slot costs an Argon2id, and the node says how many slots there are. */
const MAX_STRETCHED = 4;

/** The node showed something older than this browser has seen, or another of the same age. */
export class RolledBack extends Error {}

const sameSlot = (slot, named) =>
  equal(slot.id, named.id) && slot.kind === named.kind && equal(slot.public, named.public);

/** The first slot of this kind that the secret opens. */
async function tried(slots, scope, kind, secret) {
  const candidates = slots.filter((slot) => slot.kind === kind);
  for (const slot of isStretched(kind) ? candidates.slice(0, MAX_STRETCHED) : candidates) {
    try {
      return { slot, half: await openHalf(slot, scope, secret) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  throw new Refused();
}

/**
 * Opens what a node shows of a vault: `slots`, `successions`, `manifest` and `keyring` as stored, `leaves` of
 * { id, version, hash }. `secret` is what the slots of `kind` are locked by. `seen` is what `Vault.seen` told when
 * this browser last had the vault open, or null.
 */
export async function openVault(scope, shown, kind, secret, seen = null) {
  need(shown.slots.length <= MAX_SLOTS);
  const slots = shown.slots.map(readSlot).sort((one, other) => compare(one.id, other.id));
  const { slot, half } = await tried(slots, scope, kind, secret);
  try {
    return await checked(scope, shown, slots, slot, half, seen);
  } finally {
    half.private.fill(0);
  }
}

async function checked(scope, shown, slots, slot, half, seen) {
  const present = await follow(scope, shown.successions, half.pinned, seen?.verifyKey ?? null);
  for (const one of slots) await checkSlot(one, scope, present);
  const manifest = await openManifest(shown.manifest, scope, present);
  const manifestHash = await sha256(shown.manifest);
  if (seen !== null) {
    const forked = manifest.counter === seen.counter && !equal(manifestHash, seen.manifestHash);
    if (manifest.counter < seen.counter || forked) throw new RolledBack();
  }
  need(slots.every((one) => one.epoch === manifest.epoch));
  need(slots.length === manifest.slots.length && slots.every((one, at) => sameSlot(one, manifest.slots[at])));
  need(await proves(manifest, shown.leaves));
  const stored = readObject(shown.keyring);
  const state = { scope, slots, manifest, manifestHash, leaves: shown.leaves, present, through: slot.id };
  need(equal(stored.id, await keyringId()) && (await holds(state, stored)));
  // only now is the vault key opened
  const vaultKey = await openVaultKey(slot, scope, half);
  const plaintext = await openObject(stored, scope, vaultKey, manifest.epoch);
  const keyring = readKeyring(plaintext);
  plaintext.fill(0);
  need(await areHalves(keyring.signing, present));
  return new Vault(state, vaultKey, keyring);
}

/** Whether the object is the very one that the manifest proves. */
async function holds({ leaves }, object) {
  const { version, hash } = await leafOf(object);
  const leaf = leaves.find((one) => equal(one.id, object.id));
  return leaf !== undefined && leaf.version === version && equal(leaf.hash, hash);
}

/** A new vault with these slots, each { secret, kind, cost }: the vault, and what to upload of it. */
export async function createVault(scope, slots) {
  const kinds = slots.map(({ kind = PASSPHRASE }) => kind).filter(isStretched);
  need(slots.length >= 1 && kinds.every((kind) => kinds.filter((one) => one === kind).length <= MAX_STRETCHED));
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
  const changed = await vault.changed([object]);
  vault.apply(changed);
  const upload = {
    verifyKey: state.present,
    slots: vault.slots.map((slot) => slot.stored),
    objects: [objectBytes(object)],
    manifest: changed.signed,
  };
  return { vault, upload };
}

/** An open vault. Its keys stay in this object; `close` wipes them. */
export class Vault {
  #state;
  #vaultKey;
  #keyring;

  constructor(state, vaultKey, keyring) {
    this.#state = state;
    this.#vaultKey = vaultKey;
    this.#keyring = keyring;
  }

  get scope() {
    return this.#state.scope;
  }

  get slots() {
    return this.#state.slots;
  }

  get epoch() {
    return this.#state.manifest.epoch;
  }

  get keyring() {
    return this.#keyring;
  }

  /** The id of the slot that opened it; null in a vault that was just made. */
  get openedThrough() {
    return this.#state.through;
  }

  get leaves() {
    return this.#state.leaves;
  }

  /** What to remember, so that nothing older is taken next time. */
  get seen() {
    const { manifest, manifestHash, present } = this.#state;
    return { counter: manifest.counter, manifestHash, verifyKey: present };
  }

  entryId(name) {
    return entryId(this.#keyring.name, name);
  }

  async openEntry(stored) {
    const object = readObject(stored);
    need(await holds(this.#state, object));
    const entry = readEntry(await openObject(object, this.scope, this.#vaultKey, this.epoch));
    need(equal(await this.entryId(entry.name), object.id));
    return { ...entry, version: object.version };
  }

  #versionOf(id) {
    return this.leaves.find((leaf) => equal(leaf.id, id))?.version ?? 0n;
  }

  /** Seals an entry as the next version of its name; with `changed`, it can be uploaded. */
  async sealEntry(entry) {
    const id = await this.entryId(entry.name);
    const version = this.#versionOf(id) + 1n;
    return makeObject(this.scope, this.#vaultKey, this.epoch, id, version, entryBytes(entry));
  }

  /** The state with these objects written, and its signed manifest. Nothing changes here until `apply`. */
  async changed(objects) {
    const { scope, slots, manifest: before, leaves: old } = this.#state;
    const written = await Promise.all(objects.map(leafOf));
    need(written.every((leaf) => leaf.version === this.#versionOf(leaf.id) + 1n));
    const stays = old.filter((leaf) => !written.some(({ id }) => equal(id, leaf.id)));
    const leaves = [...stays, ...written].sort((one, other) => compare(one.id, other.id));
    const sorted = [...slots].sort((one, other) => compare(one.id, other.id));
    const manifest = { ...before, counter: before.counter + 1n, objects: leaves.length, slots: sorted };
    manifest.root = await rootOf(leaves);
    const signed = await signManifest(manifest, scope, this.#keyring.signing);
    // what this browser would not open again it does not give out: more objects than lawful, one id twice
    need(await proves(await openManifest(signed, scope, this.#state.present), leaves));
    const state = { ...this.#state, slots: sorted, manifest, manifestHash: await sha256(signed), leaves };
    return { signed, state };
  }

  apply({ state }) {
    this.#state = state;
  }

  /** Proves to the node that the vault is open here: `of` is 1 for an unlock, 2 for a step-up. */
  prove(of, challenge) {
    return sign(this.#keyring.signing, "vault proof", concat(this.scope, u8(of), challenge));
  }

  close() {
    this.#vaultKey.fill(0);
    for (const key of Object.values(this.#keyring)) key.fill(0);
  }
}
