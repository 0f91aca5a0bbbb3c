// One's own vault, as the command line makes and opens it (node/client/src/vault): fetched whole, checked whole, then used.

import { concat, hex, idBytes, idText, need, Reader, Refused, unhex } from "../core/codec.js";
import { ed25519Public, x25519Public } from "../core/keys.js";
import { keyringId, objectBytes } from "../core/object.js";
import { PASSPHRASE } from "../core/slot.js";
import { passphraseBytes, stretchWith } from "../core/stretch.js";
import { openVault, RolledBack } from "../core/vault.js";
import { argon2InWorker } from "../core/worker.js";
import { call, once } from "./call.js";
import { Told } from "./shown.js";
import { bytes, message, number, read, text } from "./wire.js";

const MANIFEST = 0x11;
const READS = 5;
const MOST_OBJECTS = 10_001;

let worker = null;

/** Argon2id, in a worker of its own. */
export function compute() {
  if (worker === null) {
    worker = argon2InWorker();
    stretchWith(worker);
  }
}

export const place = (tenant, vault) => concat(idBytes(tenant), idBytes(vault));

// ---- what this browser has seen

const seenAt = (vault) => `ocmt.seen.${vault}`;

function seenOf(vault) {
  try {
    const { counter, manifestHash, verifyKey } = JSON.parse(localStorage.getItem(seenAt(vault)));
    return { counter: BigInt(counter), manifestHash: unhex(manifestHash), verifyKey: unhex(verifyKey) };
  } catch {
    return null;
  }
}

export function saw(vault, { counter, manifestHash, verifyKey }) {
  const kept = { counter: String(counter), manifestHash: hex(manifestHash), verifyKey: hex(verifyKey) };
  localStorage.setItem(seenAt(vault), JSON.stringify(kept));
}

// ---- opening

async function leaves(vault) {
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

const counterOf = (manifest) => new Reader(manifest, MANIFEST).u64();

/** All of the vault in one state of it; nothing of it is believed yet. */
async function shown() {
  for (let tries = 0; tries < READS; tries += 1) {
    const handout = await call("VaultService/GetKeySlots", new Uint8Array());
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

/** An object as the formats have it, of one as the wire has it. */
const stored = (object) =>
  objectBytes({ id: object.bytes(1), version: object.number(2), wrapped: object.bytes(3), body: object.bytes(4) });

/** Opens one's own vault. */
export async function openOwn(tenant, passphrase) {
  compute();
  const { vault: id, handout, parts } = await shown();
  let [secret, vault] = [new Uint8Array(), null];
  try {
    secret = passphraseBytes(passphrase);
    vault = await openVault(place(tenant, id), parts, PASSPHRASE, secret, seenOf(id));
  } catch (error) {
    // a wrong one and a damaged vault are one and the same error
    if (error instanceof Refused) throw new Told("passphrase");
    if (error instanceof RolledBack) throw new Told("older");
    throw error;
  } finally {
    secret.fill(0);
  }
  try {
    saw(id, vault.seen);
    const proof = await vault.prove(1, handout.bytes(7));
    const used = idText(vault.openedThrough);
    const report = message(text(1, id), text(2, handout.text(6)), text(3, used), bytes(4, proof), once());
    await call("VaultService/ReportUnlock", report);
  } catch (error) {
    vault.close();
    throw error;
  }
  return vault;
}

/** The public halves of a vault's identity. */
export async function identityOf({ keyring }) {
  return { identity: await ed25519Public(keyring.identity), sealing: await x25519Public(keyring.sealing) };
}
