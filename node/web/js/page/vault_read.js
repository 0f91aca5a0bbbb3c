// What a vault that is open in this page holds: names and times of all entries, and one value where somebody asks for it.

import { equal, hex, Refused } from "../core/codec.js";
import { keyringId } from "../core/object.js";
import { call } from "./call.js";
import { stored } from "./opening.js";
import { Told } from "./shown.js";
import { inStep } from "./vault_write.js";
import { bytes, message, read, text } from "./wire.js";

/** As many as one call answers. */
const BATCH = 48;

/** Opens some of the vault's objects into `known`, by id: without values, and null for what is no entry. */
async function readSome({ id, vault }, some, known) {
  const asked = message(text(1, id), ...some.map((leaf) => bytes(2, leaf.id)));
  const told = await call("VaultService/BatchGetEntries", asked);
  const counter = told.number(2);
  if (counter !== vault.seen.counter) return { counter };
  const there = told.all(1).map(read);
  const bad = [];
  for (const leaf of some) {
    try {
      const one = there.find((object) => equal(object.bytes(1), leaf.id));
      if (one === undefined) throw new Refused();
      const entry = await vault.openAny(stored(one));
      entry?.value.fill(0);
      const listed = entry && { ...entry, value: null, id: leaf.id, key: hex(leaf.id) };
      known.set(hex(leaf.id), { version: leaf.version, hash: leaf.hash, entry: listed });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      bad.push(hex(leaf.id));
    }
  }
  return { counter, answer: bad };
}

/**
 * All entries in the order of their names, and how many are not what the vault's owner wrote. `known` is what this read before,
 * by id: that alone is asked for which it lacks. A vault that changes meanwhile is read on in its new state.
 */
export async function readAll(open, known) {
  const ring = await keyringId();
  const bad = new Set();
  const lacks = ({ id, version, hash }) => {
    const had = known.get(hex(id));
    return !equal(id, ring) && !bad.has(hex(id)) && !(had?.version === version && equal(had.hash, hash));
  };
  const next = () => {
    const some = open.vault.leaves.filter(lacks).slice(0, BATCH);
    return some.length === 0 ? { counter: open.vault.seen.counter, answer: null } : readSome(open, some, known);
  };
  for (let found = await inStep(open, next); found !== null; found = await inStep(open, next)) {
    for (const id of found) bad.add(id);
  }
  const there = new Set(open.vault.leaves.map(({ id }) => hex(id)));
  for (const key of known.keys()) if (!there.has(key) || bad.has(key)) known.delete(key);
  const entries = [...known.values()].map(({ entry }) => entry).filter((entry) => entry !== null);
  const order = new Intl.Collator(document.documentElement.lang, { numeric: true });
  return { entries: entries.sort((one, other) => order.compare(one.name, other.name)), damaged: bad.size };
}

/** One entry with its value, which is for the caller to overwrite. */
export async function readOne(open, id) {
  const ask = message(text(1, open.id), bytes(2, id));
  return inStep(open, async () => {
    // another device has deleted it
    if (open.vault.versionOf(id) === 0n) throw new Told("conflict");
    const told = await call("VaultService/GetEntry", ask);
    const counter = told.number(2);
    if (counter !== open.vault.seen.counter) return { counter };
    const entry = await open.vault.openAny(stored(told.message(1)));
    // the very one that was asked for: each object holds by itself
    if (entry === null || !equal(await open.vault.entryId(entry.name), id)) throw new Refused();
    if (!open.vault.isOpen) throw new Refused();
    return { counter, answer: entry };
  });
}
