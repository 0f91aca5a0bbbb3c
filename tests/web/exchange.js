// Both ways with Rust: opens what it sealed today, seals what it opens.

import { approve, checkCeremony, readCeremony, signStop, verifyRelease } from "../../node/web/js/core/ceremony.js";
import { concat, hex, idBytes, unhex } from "../../node/web/js/core/codec.js";
import { answerDrill, openUnits, seatOf, verifySet } from "../../node/web/js/core/guardian.js";
import { keyringId, leafOf, objectBytes, readObject } from "../../node/web/js/core/object.js";
import { PASSPHRASE, RECOVERY } from "../../node/web/js/core/slot.js";
import { passphraseBytes } from "../../node/web/js/core/stretch.js";
import { openVault } from "../../node/web/js/core/vault.js";
import { changed, sealEntry } from "../../node/web/js/core/vault_change.js";
import { createVault } from "../../node/web/js/core/vault_make.js";
import { wordsOfCeremony, wordsOfPerson } from "../../node/web/js/core/words.js";

const scopeOf = ({ tenant, vault }) => concat(idBytes(tenant), idBytes(vault));
const secretOf = ({ passphrase, recovery }) =>
  passphrase === undefined ? [RECOVERY, unhex(recovery)] : [PASSPHRASE, passphraseBytes(passphrase)];
const timeText = (time) => (time === null ? null : String(time));
const timeOf = (time) => (time === null ? null : BigInt(time));

async function openOne(given, secret) {
  const objects = given.objects.map(unhex);
  const shown = { slots: given.slots.map(unhex), successions: given.successions.map(unhex) };
  shown.manifest = unhex(given.manifest);
  shown.leaves = await Promise.all(objects.map((stored) => leafOf(readObject(stored))));
  const ring = hex(await keyringId());
  shown.keyring = objects.find((stored) => hex(readObject(stored).id) === ring);
  const vault = await openVault(scopeOf(given), shown, ...secretOf(secret));
  const entries = [];
  for (const stored of objects.filter((one) => given.entries.includes(hex(readObject(one).id)))) {
    const { name, version, writtenAt, expiresAt, remindAt, value } = await vault.openEntry(stored);
    const times = { written_at: timeText(writtenAt), expires_at: timeText(expiresAt), remind_at: timeText(remindAt) };
    entries.push({ name, version: String(version), ...times, value: hex(value) });
  }
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  return { counter: String(vault.seen.counter), epoch: vault.epoch, entries };
}

/** A vault through each of its secrets. */
export async function openAll(given) {
  const opened = [];
  for (const secret of given.secrets) opened.push(await openOne(given, secret));
  return opened;
}

async function makeVault(given) {
  const cost = { memoryKib: 19_456, passes: 2, lanes: 1 };
  const slots = given.secrets.map((secret) => {
    const [kind, bytes] = secretOf(secret);
    return { kind, secret: bytes, cost };
  });
  const { vault, upload } = await createVault(scopeOf(given), slots);
  const objects = [];
  for (const { name, written_at: writtenAt, expires_at: expiresAt, remind_at: remindAt, value } of given.entries) {
    const times = { writtenAt: BigInt(writtenAt), expiresAt: timeOf(expiresAt), remindAt: timeOf(remindAt) };
    objects.push(await sealEntry(vault, { name, ...times, value: unhex(value) }));
  }
  const written = await changed(vault, objects);
  vault.apply(written);
  return {
    verify_key: hex(upload.verifyKey),
    slots: upload.slots.map(hex),
    objects: [...upload.objects, ...objects.map(objectBytes)].map(hex),
    manifest: hex(written.signed),
    proof: hex(await vault.prove(1, unhex(given.challenge))),
  };
}

async function guard(given) {
  const now = BigInt(given.now);
  const set = await verifySet(unhex(given.set), unhex(given.owner));
  const ceremony = await readCeremony(unhex(given.ceremony));
  checkCeremony(ceremony, set);
  const [node, key] = [given.node, given.node_key].map(unhex);
  const release = await verifyRelease(unhex(given.release), node, key, ceremony.hash);
  const guardians = [];
  for (const { identity, sealing, sealed } of given.guardians) {
    const keys = { identity: unhex(identity), sealing: unhex(sealing) };
    const units = await openUnits(unhex(sealed), set, keys);
    const [stops, seat] = [{}, await seatOf(set, keys.identity)];
    for (const verdict of ["deny", "lock", "doubt"]) {
      stops[verdict] = hex(await signStop(verdict, ceremony.hash, now, keys.identity, seat.identity));
    }
    stops.override = hex(await signStop("override", ceremony.hash, now, keys.identity, seat.identity, unhex(given.overriding)));
    const drill = (await answerDrill(unhex(given.challenge), units, now)).map(hex);
    guardians.push({ approval: hex(await approve(ceremony, set, release, keys, units, now)), stops, drill });
  }
  return {
    guardians,
    words: await wordsOfCeremony(ceremony.hash),
    owner_words: await wordsOfPerson(set.owner),
  };
}

export const sealAll = async ({ vault, guard: asked }) => ({
  vault: vault === undefined ? null : await makeVault(vault),
  guard: asked === undefined ? null : await guard(asked),
});
