// A vault in the browser: opened only after everything was checked, in the order of docs/formats.md, "Unlocking".

import { compare, concat, equal, need, Refused, u8 } from "./codec.js";
import { makeGrant } from "./grant.js";
import { areHalves, sha256, sign } from "./keys.js";
import { follow, MAX_SLOTS, openManifest, proves } from "./manifest.js";
import { copied, dataKeyOf, entryId, isEntry, keyringId, leafOf, openObject, readEntry, readKeyring, readObject } from "./object.js";
import { BACKUP, checkSlot, HARDWARE, isStretched, MAX_STRETCHED_SLOTS, openHalf, openVaultKey, readSlot, wipeHalf } from "./slot.js";

/** The node showed something older than this browser has seen, or another of the same age. */
export class RolledBack extends Error {}

export const sameSlot = (slot, named) =>
  equal(slot.id, named.id) && slot.kind === named.kind && equal(slot.public, named.public);

/**
 * The slots that the manifest names: as shown, or by what is named of them where a node keeps them back until the unlock is
 * proved, which it may with backup keys and hardware tokens alone.
 */
function allNamed(named, shown) {
  const all = named.map((one) => shown.find((slot) => sameSlot(slot, one)) ?? one);
  const kept = all.filter((one) => !shown.includes(one));
  need(all.length - kept.length === shown.length && kept.every(({ kind }) => kind === BACKUP || kind === HARDWARE));
  return all;
}

/** Refuses what is older than what was met, or another of the same age. */
export function onward(manifest, hash, seen) {
  const forked = manifest.counter === seen.counter && !equal(hash, seen.manifestHash);
  if (manifest.counter < seen.counter || forked) throw new RolledBack();
}

/** The first slot of this kind that the secret opens. */
async function tried(slots, scope, kind, secret) {
  const candidates = slots.filter((slot) => slot.kind === kind);
  for (const slot of isStretched(kind) ? candidates.slice(0, MAX_STRETCHED_SLOTS) : candidates) {
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
  } catch (error) {
    wipeHalf(half);
    throw error;
  }
}

async function checked(scope, shown, slots, slot, half, seen) {
  const present = await follow(scope, shown.successions, half.pinned, seen?.verifyKey ?? null);
  for (const one of slots) await checkSlot(one, scope, present);
  const manifest = await openManifest(shown.manifest, scope, present);
  const manifestHash = await sha256(shown.manifest);
  if (seen !== null) onward(manifest, manifestHash, seen);
  need(slots.every((one) => one.epoch === manifest.epoch));
  const all = allNamed(manifest.slots, slots);
  need(await proves(manifest, shown.leaves));
  const stored = readObject(shown.keyring);
  const state = { scope, slots: all, manifest, manifestHash, leaves: shown.leaves, present, through: slot.id };
  need(equal(stored.id, await keyringId()) && (await holds(state, stored)));
  // only now is the vault key opened
  const vaultKey = await openVaultKey(slot, scope, half);
  const plaintext = await openObject(stored, scope, vaultKey, manifest.epoch);
  const keyring = readKeyring(plaintext);
  plaintext.fill(0);
  need(await areHalves(keyring.signing, present));
  return new Vault(state, vaultKey, keyring, half);
}

/** Whether the object is the very one that the manifest proves. */
async function holds({ leaves }, object) {
  const { version, hash } = await leafOf(object);
  const leaf = leaves.find((one) => equal(one.id, object.id));
  return leaf !== undefined && leaf.version === version && equal(leaf.hash, hash);
}

/** An open vault. Its keys stay in this object; `close` wipes them. */
export class Vault {
  #state;
  #vaultKey;
  #keyring;
  #half;

  /** `half` is what the slot that opened it is locked by and holds; null of a vault that was just made. */
  constructor(state, vaultKey, keyring, half = null) {
    this.#state = state;
    this.#vaultKey = vaultKey;
    this.#keyring = keyring;
    this.#half = half;
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

  /** Whether it has its keys still. */
  get isOpen() {
    return this.#keyring !== null;
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
    const entry = await this.openAny(stored);
    need(entry !== null);
    return entry;
  }

  /** An entry; null of what is none: keys of conversations and volumes, the keyring. */
  async openAny(stored) {
    const object = readObject(stored);
    need(await holds(this.#state, object));
    const plaintext = await openObject(object, this.scope, this.#vaultKey, this.epoch);
    try {
      if (!isEntry(plaintext)) return null;
      const entry = readEntry(plaintext);
      need(equal(await this.entryId(entry.name), object.id));
      return { ...entry, version: object.version };
    } finally {
      plaintext.fill(0);
    }
  }

  /** The key of this version of an entry, sealed to whoever is given it to read. */
  async grant(stored, taker) {
    const object = readObject(stored);
    need(await holds(this.#state, object));
    const { place, dataKey } = await dataKeyOf(object, this.scope, this.#vaultKey, this.epoch);
    try {
      return await makeGrant(place, dataKey, taker, this.#keyring.identity);
    } finally {
      dataKey.fill(0);
    }
  }

  /** The host that is pinned for a container; null before its first unlock. */
  hostOf(container) {
    return this.#state.manifest.hosts.find(({ id }) => equal(id, container))?.node ?? null;
  }

  /** The version of an object; 0 if there is none. */
  versionOf(id) {
    return this.leaves.find((leaf) => equal(leaf.id, id))?.version ?? 0n;
  }

  /** Hands what is inside to the modules beside this one that write. */
  inside(use) {
    need(this.isOpen);
    return use(this.#state, this.#vaultKey, this.#keyring, this.#half);
  }

  /** Becomes what `changed` or `followed` made. */
  apply({ state }) {
    this.#state = state;
  }

  /** Takes over the keys and the state of a rotation that the node has committed; those of before are wiped. */
  take({ base, state, vaultKey, keyring }) {
    need(this.isOpen && equal(base, this.#state.manifestHash));
    const half = this.#half;
    this.#half = null;
    this.close();
    this.#state = state;
    this.#vaultKey = vaultKey.slice();
    this.#keyring = copied(keyring);
    this.#half = half && { ...half, pinned: state.present };
  }

  /** Proves to the node that the vault is open here: `of` is 1 for an unlock, 2 for a step-up. */
  prove(of, challenge) {
    return sign(this.#keyring.signing, "vault proof", concat(this.scope, u8(of), challenge));
  }

  /** Wipes the keys; whatever is asked of it afterwards fails. */
  close() {
    this.#vaultKey?.fill(0);
    for (const key of Object.values(this.#keyring ?? {})) key.fill(0);
    wipeHalf(this.#half);
    this.#vaultKey = null;
    this.#keyring = null;
    this.#half = null;
  }
}
