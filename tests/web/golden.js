// The vectors of docs/formats.md and docs/formats-cell-and-recovery.md, as far as browsers have the formats: made by
// proto/crypto/src/vault/golden.rs and proto/crypto/src/golden, opened here.

import { backupKey, backupText } from "../../node/web/js/core/backup.js";
import { approve, checkCeremony, claimedNode, lostMailbox, readCeremony, signStop, verifyRelease } from "../../node/web/js/core/ceremony.js";
import { verifyCell } from "../../node/web/js/core/cell.js";
import { acceptChannel, agreed, beginChannel, channelInfo, exporterOf, LOGS, progress, terminalOf } from "../../node/web/js/core/channel.js";
import { concat, equal, head, hex, idBytes, need, Reader, u32, unhex, utf8 } from "../../node/web/js/core/codec.js";
import { acceptDuplex } from "../../node/web/js/core/duplex.js";
import { openEnvelope, sealEnvelope } from "../../node/web/js/core/envelope.js";
import { answerDrill, checkDelays, openUnits, shareBytes, verifySet } from "../../node/web/js/core/guardian.js";
import { receiving, seal, unseal } from "../../node/web/js/core/hpke.js";
import { ed25519Public, mac, random, sign, verify, verifyRaw, x25519Public } from "../../node/web/js/core/keys.js";
import { follow } from "../../node/web/js/core/manifest.js";
import { leafOf, makeObject, objectBytes, readObject } from "../../node/web/js/core/object.js";
import { BACKUP, HARDWARE, MEMBER, PASSPHRASE, RECOVERY } from "../../node/web/js/core/slot.js";
import { passphraseBytes, stretched } from "../../node/web/js/core/stretch.js";
import { openVault, RolledBack } from "../../node/web/js/core/vault.js";
import { changed, followed, newSlot, sealEntry } from "../../node/web/js/core/vault_change.js";
import { wordsOfCeremony } from "../../node/web/js/core/words.js";
import { auditLog } from "./audit_log.js";
import { refuses } from "./published.js";

/** The bytes with one bit of one place changed. */
export function flipped(bytes, at = bytes.length - 1) {
  const out = bytes.slice();
  out[at] ^= 1;
  return out;
}

async function pieces({ envelopes, sealed_box: box, signature, stretch }) {
  const [one] = envelopes;
  const [key, context, plaintext, sealed] = [one.key, one.context, one.plaintext, one.sealed].map(unhex);
  const opened = await openEnvelope(one.kind, key, context, sealed);
  need(opened.epoch === one.key_epoch && equal(opened.plaintext, plaintext));
  // no bit of it, of its key or of its context
  for (let at = 0; at < sealed.length; at += 1) {
    await refuses(() => openEnvelope(one.kind, key, context, flipped(sealed, at)));
  }
  await refuses(() => openEnvelope(one.kind, flipped(key), context, sealed));
  await refuses(() => openEnvelope(one.kind, key, flipped(context), sealed));
  const again = await sealEnvelope(one.kind, 9, key, context, plaintext);
  need(equal((await openEnvelope(one.kind, key, context, again)).plaintext, plaintext));

  const [secret, info, aad] = [box.secret, box.info, box.aad].map(unhex);
  need(equal(await unseal(secret, info, aad, unhex(box.sealed)), unhex(box.plaintext)));
  need(equal(await x25519Public(secret), unhex(box.public)));
  const boxed = await seal(unhex(box.public), info, aad, unhex(box.plaintext));
  need(equal(await unseal(secret, info, aad, boxed), unhex(box.plaintext)));
  await refuses(() => unseal(secret, info, flipped(aad), boxed));
  await refuses(() => unseal(secret, flipped(info), aad, boxed));

  const [seed, message, made] = [signature.seed, signature.message, signature.signature].map(unhex);
  need(equal(await sign(seed, signature.purpose, message), made));
  need(equal(await ed25519Public(seed), unhex(signature.public)));
  await verify(unhex(signature.public), signature.purpose, message, made);
  await refuses(() => verify(unhex(signature.public), "another", message, made));

  const bytes = passphraseBytes(stretch.passphrase.normalize("NFD"));
  need(equal(bytes, unhex(stretch.normalised)));
  const cost = { memoryKib: stretch.memory_kib, passes: stretch.passes, lanes: stretch.lanes };
  need(equal(await stretched(bytes, { ...cost, salt: unhex(stretch.salt) }), unhex(stretch.key)));
  for (const wrong of [{ memoryKib: 19_455 }, { memoryKib: 1_048_577 }, { passes: 1 }, { lanes: 17 }]) {
    await refuses(() => stretched(bytes, { ...cost, salt: unhex(stretch.salt), ...wrong }));
  }
}

async function vaults({ scope: place, vault: all }) {
  const scope = concat(idBytes(place.tenant), idBytes(place.vault));
  const secrets = [
    [PASSPHRASE, passphraseBytes(all.secrets.passphrase)],
    [BACKUP, unhex(all.secrets.backup)],
    [HARDWARE, unhex(all.secrets.hardware_answer)],
    [RECOVERY, unhex(all.secrets.recovery)],
  ];
  const states = {};
  for (const name of ["made", "rotated"]) {
    const given = all[name];
    const objects = given.objects.map(({ object }) => unhex(object));
    const leaves = await Promise.all(objects.map((stored) => leafOf(readObject(stored))));
    const ring = given.objects.find(({ plaintext }) => plaintext.startsWith("4f434d5413"));
    const shown = { successions: given.successions.map(unhex), manifest: unhex(given.manifest), leaves };
    Object.assign(shown, { slots: given.slots.map(({ slot }) => unhex(slot)), keyring: unhex(ring.object) });
    for (const [kind, secret] of secrets) {
      const open = await openVault(scope, shown, kind, secret);
      need(open.epoch === given.epoch && open.seen.counter === BigInt(given.counter));
      need(equal(open.seen.verifyKey, unhex(given.verify_key)));
      const entries = given.objects.filter(({ plaintext }) => plaintext.startsWith("4f434d5414"));
      const names = [];
      for (const { object } of entries) names.push((await open.openEntry(unhex(object))).name);
      need(names.sort().join() === "API_KEY,café");
      states[name] = { shown, seen: open.seen };
    }
    await damaged(scope, shown, secrets[3]);
    // sealed under the right key, and not the one that the manifest proves
    const [key, id, plain] = [given.vault_key, ring.id, ring.plaintext].map(unhex);
    const other = objectBytes(await makeObject(scope, key, given.epoch, id, ring.version, plain));
    await refuses(() => openVault(scope, { ...shown, keyring: other }, ...secrets[3]));
    const vault = await openVault(scope, shown, ...secrets[3]);
    const entry = given.objects.find(({ plaintext }) => plaintext.startsWith("4f434d5414"));
    const [entryId, text] = [entry.id, entry.plaintext].map(unhex);
    const again = (version) => makeObject(scope, key, given.epoch, entryId, version, text);
    await refuses(async () => vault.openEntry(objectBytes(await again(entry.version))));
    await slotsAndFollowing(vault, shown, entry, secrets[3]);
    await changes(vault, shown, again, entry, secrets[3]);
    const signing = plain.slice(38, 70);
    await resigned(scope, shown, signing, secrets[3]);
    if (name === "rotated") await chains(scope, shown, signing, unhex(all.made.verify_key));
    // a chain without the key that this browser has met
    const branch = { counter: 1n, manifestHash: random(32), verifyKey: random(32) };
    await refuses(() => openVault(scope, shown, ...secrets[3], branch));
  }
  const [kind, secret] = secrets[3];
  await openVault(scope, states.rotated.shown, kind, secret, states.made.seen);
  // what this browser has seen is not taken back, neither the key nor the counter
  await refuses(() => openVault(scope, states.made.shown, kind, secret, states.rotated.seen));
  const later = { ...states.made.seen, counter: 3n };
  const rolledBack = await openVault(scope, states.made.shown, kind, secret, later).catch((error) => error);
  need(rolledBack instanceof RolledBack);
  const other = { ...states.made.seen, manifestHash: random(32) };
  need((await openVault(scope, states.made.shown, kind, secret, other).catch((error) => error)) instanceof RolledBack);
}

/** What is written: the next versions alone, none twice; and it opens. */
async function changes(vault, shown, again, entry, secret) {
  const [next, same] = [await again(entry.version + 1), await again(entry.version + 1)];
  await refuses(() => changed(vault, [next, same]));
  await refuses(async () => changed(vault, [await again(entry.version)]));
  await refuses(async () => changed(vault, [await again(entry.version + 2)]));
  const written = await changed(vault, [next]);
  vault.apply(written);
  const later = { ...shown, manifest: written.signed, leaves: vault.leaves };
  const opened = await openVault(vault.scope, later, ...secret, vault.seen);
  need((await opened.openEntry(objectBytes(next))).version === BigInt(entry.version + 1));
  await refuses(() => opened.openEntry(objectBytes(same)));
  const back = await openVault(vault.scope, shown, ...secret, vault.seen).catch((error) => error);
  need(back instanceof RolledBack);
}

/** Slots that the vault's own key signed, and that are not those of the manifest: another public key, another epoch. */
async function resigned(scope, shown, signing, secret) {
  const at = shown.slots.findIndex((slot) => slot[22] === MEMBER);
  for (const place of [23, 62]) {
    const body = flipped(shown.slots[at], place).slice(0, -64);
    const slot = concat(body, await sign(signing, "key slot", concat(scope, body)));
    await refuses(() => openVault(scope, { ...shown, slots: shown.slots.map((one, n) => (n === at ? slot : one)) }, ...secret));
  }
}

/** Chains of signing keys: only onward, and through the newest key that was met. */
async function chains(scope, { successions }, signing, first) {
  const link = async (epoch, seed, old, next) => {
    const body = concat(u32(epoch), old, next);
    return concat(head(0x12), body, await sign(seed, "succession", concat(scope, body)));
  };
  const [present, next] = [await ed25519Public(signing), random(32)];
  const onward = [...successions, await link(3, signing, present, next)];
  need(equal(await follow(scope, onward, first), next) && equal(await follow(scope, onward, first, present), next));
  need(equal(await follow(scope, onward, present, next), next));
  await refuses(() => follow(scope, onward, first, random(32)));
  await refuses(() => follow(scope, onward, random(32)));
  await refuses(() => follow(scope, successions, first, next));
  await refuses(async () => follow(scope, [...successions, await link(2, signing, present, next)], first));
  await refuses(async () => follow(scope, [...successions, await link(3, random(32), present, next)], first));
  await refuses(async () => follow(scope, [await link(2, signing, first, next)], first));
  const [other, stranger] = [random(32), random(32)];
  const apart = await link(3, other, await ed25519Public(other), stranger);
  await refuses(() => follow(scope, [...successions, apart], first));
}

/** What a dishonest node might show. */
async function damaged(scope, shown, [kind, secret]) {
  const wrong = [
    { manifest: flipped(shown.manifest) },
    { manifest: flipped(shown.manifest, 10) },
    { leaves: shown.leaves.slice(1) },
    { leaves: [...shown.leaves, shown.leaves[0]] },
    { leaves: shown.leaves.map((leaf, at) => (at === 0 ? { ...leaf, version: leaf.version + 1n } : leaf)) },
    { slots: shown.slots.filter((slot) => slot[22] !== MEMBER) },
    { slots: [...shown.slots, shown.slots[0]] },
    { slots: shown.slots.map((slot) => flipped(slot)) },
    { keyring: flipped(shown.keyring) },
  ];
  await keptBack(scope, shown, kind, secret);
  for (const change of wrong) await refuses(() => openVault(scope, { ...shown, ...change }, kind, secret));
  await refuses(() => openVault(scope, shown, kind, flipped(secret)));
  await refuses(() => openVault(flipped(scope), shown, kind, secret));
}

/** A node may keep back the slots of backup keys and tokens until the unlock is proved: they stay in what is signed. */
async function keptBack(scope, shown, kind, secret) {
  const slots = shown.slots.filter((slot) => slot[22] !== BACKUP && slot[22] !== HARDWARE);
  const vault = await openVault(scope, { ...shown, slots }, kind, secret);
  need(vault.slots.length === shown.slots.length && slots.length === shown.slots.length - 2);
  const { signed } = await changed(vault, []);
  const later = { ...shown, manifest: signed };
  need((await openVault(scope, later, kind, secret, vault.seen)).slots.length === shown.slots.length);
  // and another slot in their place is none of them
  const other = await newSlot(vault, random(32), { kind: BACKUP, cost: { memoryKib: 19_456, passes: 2, lanes: 1 } });
  await refuses(() => openVault(scope, { ...shown, slots: [...slots, other.stored] }, kind, secret));
}

/** Ways to open a vault come and go; what another device wrote is taken, and nothing older. */
async function slotsAndFollowing(vault, shown, entry, [kind, secret]) {
  const before = { manifest: shown.manifest, leaves: shown.leaves, seen: vault.seen };
  const cost = { memoryKib: 19_456, passes: 2, lanes: 1 };
  const words = () => passphraseBytes("tramway okapi lantern");
  const slot = await newSlot(vault, words(), { cost });
  const [with_, stored] = [await changed(vault, [], { slots: [...vault.slots, slot] }), [...shown.slots, slot.stored]];
  const open = (change, seen) => openVault(vault.scope, { ...shown, ...change }, kind, secret, seen);
  const through = await openVault(vault.scope, { ...shown, slots: stored, manifest: with_.signed }, PASSPHRASE, words(), vault.seen);
  need(equal(through.openedThrough, slot.id));
  // another device, which has the vault open, takes it, and then not what was before
  const other = await open({}, vault.seen);
  const taken = await followed(other, { manifest: with_.signed, leaves: shown.leaves });
  other.apply(taken);
  need(other.slots.length === stored.length && other.seen.counter === vault.seen.counter + 1n);
  need((await followed(other, before).catch((error) => error)) instanceof RolledBack);
  await refuses(() => followed(other, { manifest: flipped(with_.signed), leaves: shown.leaves }));
  await refuses(() => followed(other, { manifest: with_.signed, leaves: shown.leaves.slice(1) }));
  const later = { ...vault.seen, counter: vault.seen.counter + 5n };
  need((await followed(vault, { manifest: with_.signed, leaves: shown.leaves }, later).catch((error) => error)) instanceof RolledBack);
  // and takes it away again, with an entry
  const id = unhex(entry.id);
  const less = await changed(other, [], { deleted: [id], slots: other.slots.filter((one) => !equal(one.id, slot.id)) });
  const leaves = shown.leaves.filter((leaf) => !equal(leaf.id, id));
  need((await open({ manifest: less.signed, leaves }, vault.seen)).versionOf(id) === 0n);
  await refuses(() => open({ manifest: less.signed }, vault.seen));
  await refuses(() => changed(other, [], { slots: [] }));
  await refuses(() => changed(other, [], { deleted: [random(32)] }));
  // at most four passphrases
  for (let more = other.slots.filter((one) => one.kind === PASSPHRASE).length; more < 4; more += 1) {
    const next = await newSlot(other, words(), { cost });
    other.apply(await changed(other, [], { slots: [...other.slots, next] }));
  }
  await refuses(() => newSlot(other, words(), { cost }));
  other.close();
  need(await sealEntry(other, { name: "x", writtenAt: 0n, expiresAt: null, remindAt: null, value: random(1) }).then(() => false, () => true));
}

async function backupKeys({ key, text }) {
  need((await backupText(unhex(key))) === text);
  const spelt = [text, text.toLowerCase(), text.replaceAll("-", " "), text.replaceAll("-", "").replaceAll("O", "0").replaceAll("I", "1")];
  for (const one of spelt) need(equal(await backupKey(one), unhex(key)));
  const other = text[0] === "A" ? "B" : "A";
  for (const wrong of [other + text.slice(1), text.slice(0, -1), text + "A", "", "violin ledger umbrella quartz"]) {
    need((await backupKey(wrong)) === null);
  }
}

async function recovery(v) {
  const bytes = (name) => unhex(v[name]);
  const now = BigInt(v.now);
  const set = await verifySet(bytes("set"), bytes("owner_verify_key"));
  need(equal(set.hash, bytes("set_hash")));
  checkDelays(set.delays);
  for (let at = 0; at < bytes("set").length; at += 1) {
    await refuses(() => verifySet(flipped(bytes("set"), at), bytes("owner_verify_key")));
  }
  const ceremony = await readCeremony(bytes("ceremony"));
  need(equal(ceremony.hash, bytes("ceremony_hash")));
  checkCeremony(ceremony, set);
  need((await wordsOfCeremony(ceremony.hash)).join() === v.ceremony_words.join());
  const statement = bytes("release_statement");
  need(equal(claimedNode(statement), bytes("node")));
  const release = await verifyRelease(statement, bytes("node"), bytes("node_verify_key"), ceremony.hash);
  need(equal(release.key, await x25519Public(bytes("release_secret_key"))));
  await refuses(() => verifyRelease(flipped(statement, 40), bytes("node"), bytes("node_verify_key"), ceremony.hash));
  await refuses(() => verifyRelease(statement, bytes("node"), bytes("node_verify_key"), random(32)));

  const known = new Map(v.shares.map((share) => [share.x, share]));
  for (const guardian of v.guardians) {
    const keys = { identity: unhex(guardian.identity_seed), sealing: unhex(guardian.sealing_secret_key) };
    const units = await openUnits(unhex(guardian.sealed_units), set, keys);
    for (const unit of units) {
      const { share, blind } = known.get(unit.x) ?? { share: hex(unit.share), blind: hex(unit.blind) };
      need(hex(unit.share) === share && hex(unit.blind) === blind);
    }
    await released(await approve(ceremony, set, release, keys, units, now), { v, ceremony, keys, units });
    await refuses(() => approve({ ...ceremony, delay: 1n }, set, release, keys, units, now));
    await refuses(() => approve(ceremony, set, release, keys, units, ceremony.expiresAt));
    await refuses(() => approve(ceremony, set, { ...release, ceremony: random(32) }, keys, units, now));
  }
  const first = { identity: unhex(v.guardians[0].identity_seed), sealing: unhex(v.guardians[0].sealing_secret_key) };
  await refuses(() => openUnits(unhex(v.guardians[1].sealed_units), set, first));
  await falseUnits(set, first, unhex(v.guardians[0].sealed_units));
  const { identity } = set.guardians[0];
  need(equal(await signStop("lock", ceremony.hash, now, first.identity, identity), bytes("lock_by_the_first_guardian")));
  need(hex(await lostMailbox(v.lost_mailbox.address)) === v.lost_mailbox.subject);
  await refuses(() => signStop("lock", ceremony.hash, now, first.identity, set.guardians[1].identity));
  const units = await openUnits(unhex(v.guardians[0].sealed_units), set, first);
  const [answer] = await answerDrill(bytes("drill_challenge"), units, now);
  need(equal(answer, bytes("drill_answer_of_unit_1")));
  await refuses(() => answerDrill(bytes("drill_challenge"), units, now + 60_000n));
}

/** Units that somebody sealed to the guardian in the right place, and that are not what the set commits to. */
async function falseUnits(set, keys, sealed) {
  const aad = concat(set.hash, await ed25519Public(keys.identity));
  const info = utf8("OCMT guardian units v1");
  const plain = await unseal(keys.sealing, info, aad, sealed);
  const theirs = await x25519Public(keys.sealing);
  const again = async (units) => openUnits(await seal(theirs, info, aad, units), set, keys);
  need((await again(plain)).length === 2);
  // count 4, then head 6, set 16, vault 16, x, k, n, share 32, blind 32, drill 32
  for (const at of [3, 10, 26, 42, 43, 44, 45, 77, 109]) await refuses(() => again(flipped(plain, at)));
  const one = (plain.length - 4) / 2;
  const [first, second] = [plain.slice(4, 4 + one), plain.slice(4 + one)];
  await refuses(() => again(concat(plain.slice(0, 4), second, first)));
  await refuses(() => again(concat(Uint8Array.of(0, 0, 0, 1), first)));
  await refuses(() => again(concat(plain.slice(0, 4), first, first)));
}

/** Opens an approval as the requester does, and holds it against the units. */
async function released(approval, { v, ceremony, keys, units }) {
  const identity = await ed25519Public(keys.identity);
  await verify(identity, "approval", approval.slice(0, -64), approval.slice(-64));
  const reader = new Reader(approval, 0x34);
  need(equal(reader.take(32), ceremony.hash));
  reader.take(64);
  need(equal(reader.varied(20), Uint8Array.from(units.map(({ x }) => x))));
  const front = approval.slice(0, reader.at);
  const outer = reader.varied(4_096);
  const inner = await unseal(unhex(v.release_secret_key), utf8("OCMT approval outer v1"), front, outer);
  const aad = concat(ceremony.hash, identity);
  const plain = await unseal(unhex(v.requester_secret_key), utf8("OCMT approval inner v1"), aad, inner);
  const shares = new Reader(plain, 0x38);
  const all = shares.list(20, 99, () => shares.take(99));
  shares.done();
  need(all.length === units.length && all.every((share, at) => equal(share, shareBytes(units[at]))));
}

/** Runs them all; `read` gives the JSON of a file of the vectors' folder. Returns the parts that ran. */
/** A cell's key as its host states it, and a channel from the cell's answer to its close. */
async function channels({ cell, channel }) {
  const expected = { tenant: unhex(cell.tenant), container: unhex(cell.container), node: unhex(cell.node) };
  const [statement, key, end] = [unhex(cell.statement), unhex(cell.node_verify_key), BigInt(cell.expires)];
  const stated = await verifyCell(statement, key, expected, end - 1n);
  need(stated.generation === BigInt(cell.generation) && equal(stated.bootNonce, unhex(cell.boot_nonce)));
  need(equal(stated.key, unhex(cell.cell_public_key)) && stated.expires === end);
  await refuses(() => verifyCell(statement, key, expected, end));
  for (const name of Object.keys(expected)) {
    const other = { ...expected, [name]: flipped(expected[name]) };
    await refuses(() => verifyCell(statement, key, other, end - 1n));
  }
  for (let at = 0; at < statement.length; at += 1) {
    await refuses(() => verifyCell(flipped(statement, at), key, expected, end - 1n));
  }

  const place = { generation: BigInt(channel.generation) };
  for (const name of ["tenant", "container", "unlock"]) place[name] = unhex(channel[name]);
  const [id, hello, accept] = [channel.channel, channel.hello, channel.accept].map(unhex);
  const [secret, user] = [unhex(channel.cell_secret_key), unhex(channel.user_public_key)];
  const opened = (of, frame) => receiving(secret, frame.slice(20, 52), channelInfo(place, of), { sender: user });
  const begun = async () => ({ id, hello, exporter: await exporterOf(await opened(id, hello)) });
  const { confirm, reading } = await acceptChannel(await begun(), accept, 1n);
  need(equal(confirm, unhex(channel.confirm)));
  for (let at = 0; at < accept.length; at += 1) {
    await refuses(async () => acceptChannel(await begun(), flipped(accept, at)));
  }
  const frames = channel.from_cell.map(unhex);
  let last = null;
  for (const frame of frames) {
    const changed = Array.from(frame, (_, at) => flipped(frame, at)).filter((one) => one[0] !== 5);
    for (const one of changed) {
      const taken = await reading.take(one).catch(() => null);
      need(taken === null || taken.said === null);
    }
    last = await reading.take(frame);
    need(last.said !== null && (await reading.take(frame)).said === null);
  }
  need(last.said.closed === 0 && equal(last.ack, unhex(channel.ack_of_the_close)));

  await written(channel, begun);
  // and what is begun here, the cell opens
  need(equal(await (await opened(id, hello)).open(hello.slice(52), hello.slice(0, 20)), terminalOf(["tail", "-f", "notes"])));
  const ours = await beginChannel(place, await x25519Public(secret), unhex(channel.user_secret_key), LOGS);
  const theirs = await opened(ours.id, ours.hello);
  need(equal(await theirs.open(ours.hello.slice(52), ours.hello.slice(0, 20)), LOGS));
  need(equal(await exporterOf(theirs), ours.exporter));
}

/** The same channel from the side that writes: sealed once, kept until the cell has it, sent again as it was. */
async function written(vector, begun) {
  const [accept, resumed] = [vector.accept, vector.resumed].map(unhex);
  const [first, second] = vector.from_client.map(unhex);
  const { confirm, channel } = await acceptDuplex(await begun(), accept);
  need(equal(confirm, unhex(vector.confirm)) && channel.room === 65_472);
  need(equal((await channel.size(24, 80))[0], first) && equal((await channel.data(utf8("hello")))[0], second));
  channel.lose();
  // what is typed while nobody is connected waits, also for the cell's word
  need((await channel.data(utf8("!"))).length === 0);
  await refuses(() => channel.take(resumed));
  need(equal(await channel.resume(), unhex(vector.resume_after_the_first_record)));
  need((await channel.size(1, 1)).length === 0);
  for (let at = 0; at < resumed.length; at += 1) await refuses(() => channel.take(flipped(resumed, at)));
  const { said, send } = await channel.take(resumed);
  need(said === null && send.length === 3 && equal(send[0], second));
  // once for each attempt: played again it would send twice
  await refuses(() => channel.take(resumed));
  // more than is kept is not taken
  await refuses(() => channel.data(new Uint8Array(channel.room + 1)));
  while (channel.room > 0) await channel.data(new Uint8Array(channel.room));
  await refuses(() => channel.data(utf8("x")));
  need((await channel.size(2, 2)).length === 1);
  let last = null;
  for (const frame of vector.from_cell.map(unhex)) last = await channel.take(frame);
  need(last.said.closed === 0 && equal(last.send[0], unhex(vector.ack_of_the_close)) && channel.over);
  await refuses(() => channel.size(3, 3));
  await refuses(() => channel.resume());
  // a cell that has what was never sent, or lacks what it had
  const { key } = await agreed(await begun(), accept);
  const control = await key("cell control");
  for (const [had, has] of [[0n, 2n], [1n, 0n], [1n, 2n]]) {
    const { channel: other } = await acceptDuplex(await begun(), accept);
    await other.data(utf8("x"));
    const told = async (kind, attempt, next) => {
      const body = progress(kind, unhex(vector.channel), attempt, next);
      return concat(body, await mac(control, body));
    };
    await other.take(await told(5, 0n, had));
    other.lose();
    await other.resume();
    await refuses(async () => other.take(await told(7, 1n, has)));
    need(other.over);
  }
  for (const bad of [[], Array(257).fill("a"), ["a\0"], ["a".repeat(16_385)]]) await refuses(async () => terminalOf(bad));
}

export async function golden(read) {
  const vault = await read("ocmt/vault.json");
  const cell = await read("ocmt/cell-and-recovery.json");
  await pieces(vault);
  await backupKeys(vault.backup_key);
  await vaults(vault);
  await recovery(cell.recovery);
  await channels(cell);
  await strictness();
  await auditLog(vault, await read("ocmt/nodes.json"));
  return ["pieces", "vaults", "recovery", "channels", "strictness", "audit"];
}

const L = (1n << 252n) + 27742317777372353535851937790883648493n;
const little = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
const sha512 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-512", concat(...parts)));

/** S of the equation S·B = R + k·A, where R is `nonces` times this seed's point and A `keys` times: R ‖ S. */
async function forged(seed, r, message, a, keys, nonces = 1n) {
  const wide = (await sha512(seed)).slice(0, 32);
  wide[0] &= 248;
  wide[31] = (wide[31] & 127) | 64;
  const scalar = little(wide) % L;
  const k = little(await sha512(r, a, message)) % L;
  const s = (nonces * scalar + k * keys * scalar) % L;
  return concat(r, Uint8Array.from({ length: 32 }, (_, at) => Number((s >> BigInt(8 * at)) & 255n)));
}

/** What browsers let pass and the formats do not: points of small order, encodings that are not canonical, lone halves. */
async function strictness() {
  const p = (1n << 255n) - 19n;
  const order8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
  const encoded = (y, sign) =>
    Uint8Array.from({ length: 32 }, (_, at) => Number((y >> BigInt(8 * at)) & 255n) | (at === 31 && sign ? 128 : 0));
  const zero = new Uint8Array(32);
  const [seed, message] = [random(32), utf8("any message")];
  const good = await ed25519Public(seed);
  await verifyRaw(good, message, await forged(seed, good, message, good, 1n));
  for (const y of [0n, 1n, p - 1n, order8, p - order8, p, p + 1n]) {
    for (const sign of [false, true]) {
      const point = encoded(y, sign);
      // under a key of small order one signature holds for many messages
      await refuses(() => verifyRaw(point, message, concat(point, zero)));
      await refuses(() => verifyRaw(point, message, concat(encoded(1n, false), zero)));
      await refuses(() => verifyRaw(good, message, concat(point, zero)));
      // valid equations, with one of the two points of small order
      await refuses(async () => verifyRaw(point, message, await forged(seed, good, message, point, 0n)));
      await refuses(async () => verifyRaw(good, message, await forged(seed, point, message, good, 1n, 0n)));
    }
  }
  for (const wrong of ["\ud800", "", "x".repeat(1_025)]) await refuses(async () => passphraseBytes(wrong));
  for (const wrong of [[2], [1], [0, 0], []]) {
    await refuses(async () => {
      const reader = new Reader(Uint8Array.from(wrong));
      reader.option(() => reader.u8());
      reader.done();
    });
  }
  // a count that nothing stands behind
  await refuses(async () => new Reader(Uint8Array.of(0, 0, 0, 9, 1)).list(10, 1, () => 0));
  await refuses(async () => new Reader(Uint8Array.of(0, 0, 0, 2, 1, 1)).list(1, 1, () => 0));
}
