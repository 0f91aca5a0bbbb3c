// New keys for one's own vault, by the rules of the command line (node/client/src/vault/rotate.rs, resume.rs): everything is taken
// over here and staged at the node, which switches at the end, all at once. A page that was closed in between goes on at its next
// opening; what another device or browser began is begun anew, since who is to be shut out may have begun it.

import { concat, equal, hex, need, Refused } from "../core/codec.js";
import { objectBytes, readObject } from "../core/object.js";
import { beginRotation, REKEY, resumeRotation, REWRAP } from "../core/vault_rotate.js";
import { call, Declined, once, Unreachable } from "./call.js";
import { saw, stored, wired } from "./opening.js";
import { begun, ended, isDue, ownMode } from "./rotations.js";
import { $, Told } from "./shown.js";
import { begin, goesOn, withOpen } from "./vault_open.js";
import { present } from "./vault_present.js";
import { bytes, message, number, read, text } from "./wire.js";

/** As many as one call answers and takes. */
const BATCH = 48;
/** More than a vault has of them. */
const MOST_PAGES = 250;
/** Why, for the audit. */
const REASON = "asked by its owner, in a browser";
/** What says that the vault, or its rotation, is another one by now. */
const MOVED = ["NO_SUCH_ROTATION"];
const ABORTED = 10;

/** A call that wants to know who is there; once more where the answer was lost, as the same call. */
async function sent(open, method, ...messages) {
  const send = () => call(`VaultService/${method}`, ...messages);
  try {
    return await present(open, () =>
      send().catch((error) => {
        if (error instanceof Unreachable) return send();
        throw error;
      }));
  } catch (error) {
    if (error instanceof Declined && (error.code === ABORTED || MOVED.includes(error.reason))) throw new Told("moved");
    throw error;
  }
}

// ---- what stands at the node

/** The rotation as the node tells it; null if there is none. */
const told = (rotation) =>
  rotation.text(1) === ""
    ? null
    : { id: rotation.text(1), epoch: Number(rotation.number(2)), verifyKey: rotation.bytes(3), slots: rotation.all(5) };

/** How the vault is now: what is unfinished, what it does if it is this browser's, and how much waits in the inbox. Another state than the open one has to be opened anew. */
async function standing({ id, vault }) {
  const now = await call("VaultService/GetVault", message(text(1, id)));
  const { seen, epoch } = vault;
  const facts = now.message(1);
  if (facts.number(4) !== BigInt(epoch) || facts.number(5) !== seen.counter) throw new Told("moved");
  const rotation = told(now.message(4));
  const own = rotation && ownMode(id, seen, rotation.verifyKey);
  return { rotation, own, waiting: facts.number(11) };
}

function show({ id, vault }, { rotation, own, waiting }) {
  $("unfinished_own").hidden = own === null;
  $("unfinished_other").hidden = rotation === null || own !== null;
  $("waiting").hidden = waiting === 0n;
  $("due").hidden = !isDue(id, vault.epoch);
}

/** Objects of the vault as they are, in the order that they are asked for. */
async function objects({ id, vault }, leaves) {
  const asked = message(text(1, id), ...leaves.map((leaf) => bytes(2, leaf.id)));
  const answer = await call("VaultService/BatchGetEntries", asked);
  if (answer.number(2) !== vault.seen.counter) throw new Told("moved");
  const there = answer.all(1).map(read);
  return leaves.map((leaf) => {
    const one = there.find((object) => equal(object.bytes(1), leaf.id));
    need(one !== undefined);
    return stored(one);
  });
}

// ---- beginning it, and going on with it

const staging = (open, rotationId, batch) => {
  const start = message(text(1, open.id), text(2, rotationId), once());
  return sent(open, "PutRewrappedKeys", bytes(1, start), bytes(2, batch));
};

async function begins(open, mode) {
  const { id, vault, slots } = open;
  const rotation = await beginRotation(vault, mode, slots.map((slot) => slot.bytes(3)));
  try {
    const { epoch, verifyKey, succession, slots: sealed, keyring } = rotation.start;
    begun(id, vault.seen, verifyKey, mode);
    const keys = message(number(2, epoch), bytes(3, verifyKey), bytes(4, succession), number(5, mode));
    const rest = message(...sealed.map((slot) => bytes(6, slot)), text(7, REASON), number(8, 1), once());
    const rotationId = (await sent(open, "BeginRotation", message(text(1, id), keys, rest))).message(1).text(1);
    await staging(open, rotationId, bytes(2, wired(readObject(keyring))));
    return { rotation, rotationId };
  } catch (error) {
    rotation.wipe();
    throw error;
  }
}

/** The unfinished rotation with all that it has staged, if this browser began it and it does what is wanted now; else null. */
async function unfinished(open, mode) {
  const { id, vault } = open;
  const listed = (token) => sent(open, "ListStagedObjects", message(text(1, id), number(2, BATCH), text(3, token)));
  let page = await listed("");
  const known = told(page.message(1));
  const keyring = page.message(3);
  if (known === null || keyring.bytes(1).length === 0) return null;
  if (ownMode(id, vault.seen, known.verifyKey) !== mode) return null;
  const rotation = await resumed(vault, mode, { ...known, succession: page.bytes(2) }, keyring);
  if (rotation === null) return null;
  try {
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      for (const object of await withBodies(open, mode, page.all(4).map(read))) await adopted(rotation, object);
      const token = page.text(5);
      if (token === "") return { rotation, rotationId: known.id };
      goesOn();
      page = await listed(token);
    }
    throw new Refused();
  } catch (error) {
    rotation.wipe();
    throw error;
  }
}

/** Null where it is damaged, or leads on from another state: it is begun anew. */
async function resumed(vault, mode, start, keyring) {
  try {
    return await resumeRotation(vault, mode, { ...start, keyring: stored(keyring) });
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** What is not taken over is converted again, and staged over it. */
const adopted = (rotation, object) =>
  rotation.adopt(object).catch((error) => {
    if (!(error instanceof Refused)) throw error;
  });

/** What was staged, as the formats have it. A rewrap leaves the bodies where they are. */
async function withBodies(open, mode, staged) {
  if (mode === REKEY || staged.length === 0) return staged.map(stored);
  const known = new Map(open.vault.leaves.map((leaf) => [hex(leaf.id), leaf]));
  const ours = staged.filter((object) => known.has(hex(object.bytes(1))));
  if (ours.length === 0) return [];
  const now = await objects(open, ours.map((object) => known.get(hex(object.bytes(1)))));
  return ours.map((object, at) => objectBytes({ ...readObject(now[at]), version: object.number(2), wrapped: object.bytes(3) }));
}

/** Some objects under the next keys, as they are staged. */
const batchOf = (mode, converted) =>
  concat(...converted.map((object) =>
    mode === REKEY
      ? bytes(2, wired(object))
      : bytes(1, message(bytes(1, object.id), number(2, object.version), bytes(3, object.wrapped)))));

async function converts(open, mode, { rotation, rotationId }) {
  const left = await rotation.left();
  const all = open.vault.leaves.length;
  const bar = $("progress");
  bar.max = all;
  for (let at = 0; at < left.length; at += BATCH) {
    bar.value = all - left.length + at;
    const converted = [];
    for (const object of await objects(open, left.slice(at, at + BATCH))) converted.push(await rotation.convert(object));
    await staging(open, rotationId, batchOf(mode, converted));
    goesOn();
  }
  bar.value = all;
}

async function finishes(open, mode, { rotation, rotationId }) {
  const { id, vault } = open;
  const { slots } = rotation.start;
  const completed = await rotation.finish();
  const all = message(...slots.map((slot) => bytes(3, slot)), bytes(4, completed.signed), once());
  await sent(open, "FinishRotation", message(text(1, id), text(2, rotationId), all));
  const before = vault.epoch;
  vault.take(completed);
  saw(id, vault.seen);
  ended(id, before, vault.epoch, mode === REKEY);
}

async function rotate(open) {
  const mode = $("rewrap").checked ? REWRAP : REKEY;
  const now = await standing(open);
  show(open, now);
  // what waits there is sealed to a key that a re-keying replaces
  if (mode === REKEY && now.waiting > 0n && !$("lose").checked) throw new Told("inbox");
  $("under_way").hidden = false;
  try {
    const under = (now.own === mode ? await unfinished(open, mode) : null) ?? (await begins(open, mode));
    try {
      await converts(open, mode, under);
      await finishes(open, mode, under);
    } finally {
      under.rotation.wipe();
    }
  } finally {
    $("under_way").hidden = true;
  }
  // what still waits in the inbox is lost by now
  show(open, { rotation: null, own: null, waiting: 0n });
  $("title").focus({ preventScroll: true });
  if (mode === REWRAP) return "rewrapped";
  return "rekeyed";
}

$("rotate").addEventListener("submit", (event) => {
  event.preventDefault();
  withOpen(rotate);
});

begin({
  opened: async (open) => {
    const now = await standing(open);
    show(open, now);
    // to go on with it is to do the same
    $("rewrap").checked = now.own === REWRAP;
  },
  locked: () => {
    for (const id of ["rewrap", "lose"]) $(id).checked = false;
    for (const id of ["unfinished_own", "unfinished_other", "waiting", "under_way"]) $(id).hidden = true;
  },
});
