// One's own vault, as the command line makes and opens it (node/client/src/vault): fetched whole, checked whole, then used.

import { concat, hex, idBytes, idText, need, Reader, Refused, unhex } from "../core/codec.js";
import { ENGLISH } from "../core/english.js";
import { ed25519Public, random, x25519Public } from "../core/keys.js";
import { keyringId, objectBytes, readObject } from "../core/object.js";
import { PASSPHRASE } from "../core/slot.js";
import { passphraseBytes, stretchWith } from "../core/stretch.js";
import { createVault, openVault, RolledBack } from "../core/vault.js";
import { argon2InWorker } from "../core/worker.js";
import { call, Declined, NOT_FOUND, once } from "./call.js";
import { Told } from "./shown.js";
import { bytes, message, number, read, text } from "./wire.js";

const MANIFEST = 0x11;
const READS = 5;
const MOST_OBJECTS = 10_001;
/** Six words of 2,048: 66 bits, of chance alone. */
const WORDS = 6;

let worker = null;

/** Argon2id, in a worker of its own. */
export function compute() {
  if (worker === null) {
    worker = argon2InWorker();
    stretchWith(worker);
  }
}

/**
 * A passphrase that nobody chose: what people choose would have to be judged, and the judge (zxcvbn) is half a megabyte.
 * The words go to paper.
 */
export function drawn() {
  const picked = new Uint16Array(random(WORDS * 2).buffer);
  return Array.from(picked, (one) => ENGLISH[one & 2_047]).join(" ");
}

const place = (tenant, vault) => concat(idBytes(tenant), idBytes(vault));

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

function saw(vault, { counter, manifestHash, verifyKey }) {
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
  throw new Refused();
}

/** An object as the formats have it, of one as the wire has it. */
const stored = (object) =>
  objectBytes({ id: object.bytes(1), version: object.number(2), wrapped: object.bytes(3), body: object.bytes(4) });

/** Opens one's own vault. */
export async function openOwn(tenant, passphrase) {
  compute();
  const { vault: id, handout, parts } = await shown();
  const secret = passphraseBytes(passphrase);
  let vault;
  try {
    vault = await openVault(place(tenant, id), parts, PASSPHRASE, secret, seenOf(id));
  } catch (error) {
    // a wrong one and a damaged vault are one and the same error
    if (error instanceof Refused) throw new Told("passphrase");
    if (error instanceof RolledBack) throw new Told("older");
    throw error;
  } finally {
    secret.fill(0);
  }
  saw(id, vault.seen);
  const proof = await vault.prove(1, handout.bytes(7));
  const used = idText(vault.openedThrough);
  const report = message(text(1, id), text(2, handout.text(6)), text(3, used), bytes(4, proof), once());
  await call("VaultService/ReportUnlock", report);
  return vault;
}

// ---- making

/** A vault with this passphrase, which nobody has been told of yet, with its public identity keys and what uploads it. */
export async function madeHere(tenant, passphrase) {
  compute();
  const random16 = random(16);
  random16[6] = (random16[6] & 0x0f) | 0x40;
  random16[8] = (random16[8] & 0x3f) | 0x80;
  const id = idText(random16);
  const secret = passphraseBytes(passphrase);
  const { vault, upload } = await createVault(place(tenant, id), [{ secret }]);
  secret.fill(0);
  const send = async () => {
    const objects = upload.objects.map((one) => {
      const { id: object, version, wrapped, body } = readObject(one);
      return bytes(5, message(bytes(1, object), number(2, version), bytes(3, wrapped), bytes(4, body)));
    });
    const slots = upload.slots.map((slot) => bytes(4, slot));
    const front = message(text(1, id), bytes(3, upload.verifyKey), ...slots, ...objects);
    await call("VaultService/CreateVault", message(front, bytes(6, upload.manifest), once()));
    saw(id, vault.seen);
  };
  return { vault, send };
}

/** The public halves of a vault's identity. */
export async function identityOf({ keyring }) {
  return { identity: await ed25519Public(keyring.identity), sealing: await x25519Public(keyring.sealing) };
}

/** Makes the identity known in one's tenant, as it has to be before one is a guardian. */
export async function publish({ identity, sealing }) {
  try {
    const known = (await call("UserService/GetIdentityKey", new Uint8Array())).message(1);
    if (hex(known.bytes(2)) === hex(identity) && hex(known.bytes(3)) === hex(sealing)) return;
  } catch (error) {
    if (!(error instanceof Declined) || error.code !== NOT_FOUND) throw error;
  }
  await call("UserService/PublishIdentityKey", message(bytes(1, identity), bytes(2, sealing), once()));
}
