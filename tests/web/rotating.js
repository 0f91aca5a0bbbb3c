// The page that gives a vault new keys, cut off at each of its calls and opened again: its modules in Node, with a page and a node
// that this file plays. The node keeps and switches what it is sent as node and store do, and believes no manifest that does not
// prove it.

import { argon2id } from "../../node/web/js/core/argon2.js";
import { compare, concat, equal, hex, idBytes, idText, need, u32, u8, utf8 } from "../../node/web/js/core/codec.js";
import { random } from "../../node/web/js/core/keys.js";
import { openManifest, proves } from "../../node/web/js/core/manifest.js";
import { keyringId, leafOf, objectBytes, readObject } from "../../node/web/js/core/object.js";
import { PASSPHRASE, readSlot } from "../../node/web/js/core/slot.js";
import { passphraseBytes, stretchWith } from "../../node/web/js/core/stretch.js";
import { openVault } from "../../node/web/js/core/vault.js";
import { changed, sealEntry } from "../../node/web/js/core/vault_change.js";
import { createVault } from "../../node/web/js/core/vault_make.js";
import { bytes, message, number, read, text } from "../../node/web/js/page/wire.js";

const ID = "0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11";
const SCOPE = concat(idBytes(ID), idBytes(ID));
const SECRET = "tramway okapi lantern";
/** With the keyring two batches. */
const ENTRIES = 50;
const WRITES = ["BeginRotation", "PutRewrappedKeys", "FinishRotation"];

const frame = (kind, body) => concat(u8(kind), u32(body.length), body);
const answered = (body, status = "0") =>
  new Response(concat(frame(0, body), frame(128, utf8(`grpc-status: ${status}\r\n`))), { headers: { "content-type": "application/grpc-web+proto" } });

// ---- the page

class Element extends EventTarget {
  hidden = true;
  dataset = { tenant: ID, user: "ada" };
  value = "";
  checked = false;
  textContent = "";
  busy = false;
  focus() {}
  append() {}
  setAttribute() {
    this.busy = true;
  }
  removeAttribute() {
    this.busy = false;
  }
}

const elements = new Map();
const kept = new Map();

function $(id) {
  if (!elements.has(id)) elements.set(id, new Element());
  return elements.get(id);
}

function asPage() {
  const document = new Element();
  Object.assign(document, { cookie: "__Host-ocmt-csrf=x", hidden: false, body: new Element(), getElementById: $ });
  document.activeElement = document.body;
  document.querySelector = (selector) => (selector === "main" ? $("main") : null);
  document.querySelectorAll = () => [];
  globalThis.document = document;
  globalThis.addEventListener = () => {};
  globalThis.setInterval = () => 0;
  globalThis.localStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
  };
  globalThis.Worker = class {
    terminate() {}
    addEventListener(kind, listener) {
      if (kind === "message") this.listener = listener;
    }
    postMessage({ id, secret, cost }) {
      argon2id(secret, cost).then((key) => this.listener({ data: { id, key } }));
    }
  };
}

/** What the page says in the end. */
async function does(id, kind) {
  $(id).dispatchEvent(new Event(kind, { cancelable: true }));
  do await new Promise((done) => setImmediate(done));
  while ($("main").busy);
  return $("said").textContent;
}

async function comesBack() {
  await does("lock", "click");
  $("passphrase").value = SECRET;
  await does("unlock", "submit");
  need($("open").hidden === false);
}

// ---- the node

const wired = ({ id, version, wrapped, body }) => message(bytes(1, id), number(2, version), bytes(3, wrapped), bytes(4, body));
const objectOf = (fields) => ({ id: fields.bytes(1), version: fields.number(2), wrapped: fields.bytes(3), body: fields.bytes(4) });
const sorted = (map) => [...map.values()].sort((one, other) => compare(one.id, other.id));

class Node {
  constructor({ slots, manifest, objects }) {
    Object.assign(this, { slots, manifest, objects, successions: [], epoch: 1, counter: 2n, rotation: null });
  }

  GetKeySlots() {
    const slots = this.slots.map((slot) => bytes(2, message(text(1, idText(readSlot(slot).id)), bytes(3, slot))));
    const front = message(text(1, ID), ...slots, bytes(4, this.manifest), ...this.successions.map((one) => bytes(5, one)));
    return message(front, text(6, ID), bytes(7, random(32)));
  }

  async ListEntries() {
    const leaves = await Promise.all(sorted(this.objects).map(leafOf));
    return message(...leaves.map((leaf) => bytes(1, message(bytes(1, leaf.id), number(2, leaf.version), bytes(4, leaf.hash)))), number(3, this.counter));
  }

  GetEntry(asked) {
    return message(bytes(1, wired(this.objects.get(hex(asked.bytes(2))))), number(2, this.counter));
  }

  BatchGetEntries(asked) {
    need(asked.all(2).length <= 48);
    return message(...asked.all(2).map((id) => bytes(1, wired(this.objects.get(hex(id))))), number(2, this.counter));
  }

  ReportUnlock() {
    return new Uint8Array();
  }

  #standing() {
    if (this.rotation === null) return new Uint8Array();
    const { id, epoch, verifyKey, mode, slots } = this.rotation;
    // it says of each that it does the other thing: one that only wraps keys must not come of a re-keying by a node's word
    return message(text(1, id), number(2, epoch), bytes(3, verifyKey), number(4, 3n - mode), ...slots.map((slot) => bytes(5, slot)));
  }

  GetVault() {
    const facts = message(text(1, ID), number(4, this.epoch), number(5, this.counter));
    return message(bytes(1, facts), bytes(2, this.manifest), this.rotation === null ? new Uint8Array() : bytes(4, this.#standing()));
  }

  BeginRotation(asked) {
    const front = { id: idText(random(16)), epoch: Number(asked.number(2)), verifyKey: asked.bytes(3) };
    this.rotation = { ...front, succession: asked.bytes(4), mode: asked.number(5), slots: asked.all(6), staged: new Map() };
    return bytes(1, this.#standing());
  }

  PutRewrappedKeys(start, part) {
    need(start.message(1).text(2) === this.rotation.id);
    const batch = part.message(2);
    for (const object of batch.all(2).map((one) => objectOf(read(one)))) this.rotation.staged.set(hex(object.id), object);
    for (const key of batch.all(1).map(read)) {
      const staged = { id: key.bytes(1), version: key.number(2), wrapped: key.bytes(3), body: new Uint8Array() };
      this.rotation.staged.set(hex(staged.id), staged);
    }
    return bytes(1, this.#standing());
  }

  ListStagedObjects(asked) {
    const ring = this.ring;
    const after = asked.text(3);
    const rest = sorted(this.rotation.staged).filter(({ id }) => hex(id) > after);
    const page = rest.slice(0, 20);
    const next = rest.length > page.length ? hex(page.at(-1).id) : "";
    const keyring = this.rotation.staged.get(ring);
    const front = message(bytes(1, this.#standing()), bytes(2, this.rotation.succession));
    // with the keyring, which no node is asked for there: whoever takes it over has it twice, and finishes nothing
    const objects = page.map((object) => bytes(4, wired(object)));
    return message(front, keyring === undefined ? new Uint8Array() : bytes(3, wired(keyring)), ...objects, text(5, next));
  }

  async FinishRotation(asked) {
    // the same call again is the same switch
    if (this.finished === hex(asked.bytes(15))) return new Uint8Array();
    const { id, epoch, verifyKey, succession, staged } = this.rotation;
    need(asked.text(2) === id && staged.size === this.objects.size);
    const objects = new Map();
    for (const [key, object] of staged) objects.set(key, object.body.length > 0 ? object : { ...object, body: this.objects.get(key).body });
    const manifest = await openManifest(asked.bytes(4), SCOPE, verifyKey);
    need(await proves(manifest, await Promise.all(sorted(objects).map(leafOf))));
    need(manifest.counter === this.counter + 1n && manifest.epoch === epoch);
    this.successions.push(succession);
    Object.assign(this, { slots: asked.all(3), manifest: asked.bytes(4), objects, epoch, counter: manifest.counter, verifyKey, rotation: null });
    this.finished = hex(asked.bytes(15));
    return new Uint8Array();
  }

  /** Serves; from the write of this number on nothing arrives any more, or no answer does. */
  serve({ cut = Infinity, lost = Infinity } = {}) {
    let writes = 0;
    globalThis.fetch = async (url, { body }) => {
      const method = url.split("/").at(-1);
      if (WRITES.includes(method)) writes += 1;
      if (writes >= cut) throw new TypeError("the connection was lost");
      const asked = [];
      for (let at = 0; at < body.length; at += 5 + asked.at(-1).length) asked.push(body.slice(at + 5, at + 5 + new DataView(body.buffer, at + 1, 4).getUint32(0)));
      const answer = await this[method](...asked.map(read));
      if (writes >= lost) throw new TypeError("the answer was lost");
      return answered(answer);
    };
  }
}

async function made() {
  const { vault, upload } = await createVault(SCOPE, [{ secret: passphraseBytes(SECRET), cost: { memoryKib: 19_456, passes: 2, lanes: 1 } }]);
  const entries = [];
  for (let n = 0; n < ENTRIES; n += 1) {
    const times = { writtenAt: 1n, expiresAt: null, remindAt: null };
    entries.push(await sealEntry(vault, { name: `entry ${n}`, ...times, value: utf8(`value ${n}`) }));
  }
  const { signed } = await changed(vault, entries);
  const all = [...upload.objects.map(readObject), ...entries];
  return { slots: upload.slots, manifest: signed, objects: new Map(all.map((object) => [hex(object.id), object])) };
}

/** How many entries the node's vault has that opens whole. */
async function whole(node) {
  const leaves = await Promise.all([...node.objects.values()].map(leafOf));
  const { slots, successions, manifest, objects } = node;
  const shown = { slots, successions, manifest, leaves, keyring: objectBytes(objects.get(node.ring)) };
  // the page has ended its worker
  stretchWith(argon2id);
  const vault = await openVault(SCOPE, shown, PASSPHRASE, passphraseBytes(SECRET));
  need(vault.epoch === node.epoch);
  let right = 0;
  for (const object of objects.values()) {
    const entry = await vault.openAny(objectBytes(object));
    if (entry !== null && equal(entry.value, utf8(entry.name.replace("entry", "value")))) right += 1;
  }
  return right;
}

/** Cut off so, and done again: what was said, whether it was gone on with, and what is there then. */
async function cutOff(first, ring, rewrap, how) {
  const node = new Node({ ...first, objects: new Map(first.objects) });
  node.ring = ring;
  kept.clear();
  // a way in was taken away
  kept.set(`ocmt.due.${ID}`, "1");
  node.serve();
  await comesBack();
  $("rewrap").checked = rewrap;
  node.serve(how);
  const said = [await does("rotate", "submit")];
  const begun = node.rotation?.staged.has(ring) ? node.rotation.verifyKey : null;
  const epoch = node.epoch;
  node.serve();
  await comesBack();
  const own = !$("unfinished_own").hidden;
  if (epoch === 1) {
    need(!own || $("rewrap").checked === rewrap);
    $("rewrap").checked = rewrap;
    said.push(await does("rotate", "submit"));
  }
  // whoever had it has what a rewrap leaves, however that was cut off
  need($("due").hidden === !rewrap && !kept.has(`ocmt.rotation.${ID}`));
  const on = begun !== null && equal(begun, node.verifyKey);
  return { said, own, on, epoch: node.epoch, entries: await whole(node) };
}

export async function rotating() {
  asPage();
  await import("../../node/web/js/page/vault_rotate.js");
  const first = await made();
  const ring = hex(await keyringId());
  const done = {};
  for (const mode of ["rekey", "rewrap"]) {
    done[mode] = [];
    for (const how of [{ cut: 1 }, { cut: 2 }, { cut: 3 }, { cut: 4 }, { cut: 5 }, { lost: 5 }]) {
      done[mode].push(await cutOff(first, ring, mode === "rewrap", how));
    }
  }
  return done;
}
