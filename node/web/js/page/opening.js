// One's own vault, as the command line makes and opens it (node/client/src/vault): fetched whole, checked whole, then used.

import { concat, hex, idBytes, idText, need, Reader, Refused, unhex } from "../core/codec.js";
import { ed25519Public, random, x25519Public } from "../core/keys.js";
import { keyringId, objectBytes } from "../core/object.js";
import { PASSPHRASE } from "../core/slot.js";
import { passphraseBytes, stretchWith } from "../core/stretch.js";
import { openVault, RolledBack } from "../core/vault.js";
import { renewed } from "../core/vault_renew.js";
import { argon2InWorker } from "../core/worker.js";
import { call, once } from "./call.js";
import { Told } from "./shown.js";
import { bytes, message, number, read, text } from "./wire.js";

const MANIFEST = 0x11;
/** How often a vault that changes while it is read is read again. */
export const READS = 5;
const MOST_OBJECTS = 10_001;

let worker = null;

/** Argon2id, in a worker of its own. */
export function compute() {
  if (worker === null) {
    worker = argon2InWorker();
    stretchWith(worker);
  }
}

/** Ends that worker, and with it what is left in its memory. */
export function rest() {
  worker?.stop();
  worker = null;
}

export const place = (tenant, vault) => concat(idBytes(tenant), idBytes(vault));

// ---- what this browser has seen

const seenAt = (vault) => `ocmt.seen.${vault}`;

function remembered(kept) {
  try {
    const { counter, manifestHash, verifyKey } = JSON.parse(kept);
    return { counter: BigInt(counter), manifestHash: unhex(manifestHash), verifyKey: unhex(verifyKey) };
  } catch {
    return null;
  }
}

export const seenOf = (vault) => remembered(localStorage.getItem(seenAt(vault)));

/** Remembers it, unless another tab has met what is newer. */
export function saw(vault, { counter, manifestHash, verifyKey }) {
  if (counter < (seenOf(vault)?.counter ?? 0n)) return;
  const kept = { counter: String(counter), manifestHash: hex(manifestHash), verifyKey: hex(verifyKey) };
  localStorage.setItem(seenAt(vault), JSON.stringify(kept));
}

// ---- opening

/** The leaves of one state of it, with its counter; null if it changed between the pages. */
export async function leaves(vault) {
  const found = [];
  let [token, counter] = ["", null];
  do {
    const page = await call("VaultService/ListEntries", message(text(1, vault), number(2, 1_000), text(3, token)));
    counter ??= page.number(3);
    if (page.number(3) !== counter) return null;
    for (const one of page.all(1)) {
      const head = read(one);
      found.push({ id: head.bytes(1), version: head.number(2), hash: head.bytes(4) });
    }
    need(found.length <= MOST_OBJECTS);
    token = page.text(2);
  } while (token !== "");
  return { counter, found };
}

export const counterOf = (manifest) => new Reader(manifest, MANIFEST).u64();

/** What this browser shows again for slots that it asked for and has to wait for. */
function claim() {
  const kept = localStorage.getItem("ocmt.claim") ?? hex(random(32));
  localStorage.setItem("ocmt.claim", kept);
  return unhex(kept);
}

/** What a secret of this kind may open, and a challenge: slots of other kinds may be kept back until it has opened one. */
export const handedOut = (kind) =>
  call("VaultService/GetKeySlots", message(number(2, kind), kind === PASSPHRASE ? new Uint8Array() : bytes(3, claim())));

/** All of the vault in one state of it; nothing of it is believed yet. */
async function shown(kind) {
  for (let tries = 0; tries < READS; tries += 1) {
    const handout = await handedOut(kind);
    const [vault, manifest] = [handout.text(1), handout.bytes(4)];
    const page = await leaves(vault);
    const ask = message(text(1, vault), bytes(2, await keyringId()));
    const ring = (await call("VaultService/GetEntry", ask)).message(1);
    if (page === null || page.counter !== counterOf(manifest)) continue;
    const keyring = stored(ring);
    const slots = handout.all(2).map((slot) => read(slot).bytes(3));
    return { vault, handout, parts: { slots, successions: handout.all(5), manifest, leaves: page.found, keyring } };
  }
  throw new Told("changing");
}

/** An object as the wire has it. */
export const wired = ({ id, version, wrapped, body }) =>
  message(bytes(1, id), number(2, version), bytes(3, wrapped), bytes(4, body));

/** An object as the formats have it, of one as the wire has it. */
export const stored = (object) =>
  objectBytes({ id: object.bytes(1), version: object.number(2), wrapped: object.bytes(3), body: object.bytes(4) });

async function tried(scope, parts, kind, secret, seen) {
  try {
    return await openVault(scope, parts, kind, secret, seen);
  } catch (error) {
    // a wrong one and a damaged vault are one and the same error
    if (error instanceof Refused) throw new Told("passphrase");
    if (error instanceof RolledBack) throw new Told("older");
    throw error;
  }
}

/** Proves to the node that it is open, and hears of the slots that are told only then. */
async function reported({ id, vault, handout }) {
  try {
    saw(id, vault.seen);
    const proof = await vault.prove(1, handout.bytes(7));
    const used = idText(vault.openedThrough);
    const slot = await renewed(vault);
    const newer = slot === null ? new Uint8Array() : bytes(5, slot.stored);
    const report = message(text(1, id), text(2, handout.text(6)), text(3, used), bytes(4, proof), newer, once());
    const more = await call("VaultService/ReportUnlock", report);
    return [...handout.all(2), ...more.all(1)].map(read);
  } catch (error) {
    vault.close();
    throw error;
  }
}

/**
 * Opens one's own vault by a secret of this kind, which is wiped: the vault, its id, what the node handed out, and what it
 * tells of the slots.
 */
export async function openBy(tenant, kind, secret) {
  compute();
  // what was seen before the node is asked: another tab may write meanwhile
  const before = { ...localStorage };
  try {
    const { vault: id, handout, parts } = await shown(kind);
    const vault = await tried(place(tenant, id), parts, kind, secret, remembered(before[seenAt(id)]));
    return { id, vault, handout, slots: await reported({ id, vault, handout }) };
  } finally {
    secret.fill(0);
  }
}

/** Opens one's own vault by its passphrase. */
export async function openOwn(tenant, passphrase) {
  let secret = null;
  try {
    secret = passphraseBytes(passphrase);
  } catch {
    throw new Told("passphrase");
  }
  return (await openBy(tenant, PASSPHRASE, secret)).vault;
}

/** The public halves of a vault's identity. */
export async function identityOf({ keyring }) {
  return { identity: await ed25519Public(keyring.identity), sealing: await x25519Public(keyring.sealing) };
}
