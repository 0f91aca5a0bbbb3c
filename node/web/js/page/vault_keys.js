// The ways to open one's own vault: listed, a passphrase or a recovery kit added, one taken away. What is new is drawn here and
// goes to paper; what is on paper is asked for before it counts.

import { backupText } from "../core/backup.js";
import { equal, idText, need } from "../core/codec.js";
import { random } from "../core/keys.js";
import { BACKUP, MAX_STRETCHED_SLOTS, PASSPHRASE } from "../core/slot.js";
import { DEFAULT, passphraseBytes } from "../core/stretch.js";
import { changed, newSlot } from "../core/vault_change.js";
import { later } from "./later.js";
import { compute, rest } from "./opening.js";
import { nowDue } from "./rotations.js";
import { $, Told } from "./shown.js";
import { begin, withOpen } from "./vault_open.js";
import { at, rowOf } from "./vault_parts.js";
import { present } from "./vault_present.js";
import { commit } from "./vault_write.js";
import { bytes, text } from "./wire.js";

/** The most that a node's policy is followed to, as `ocmt` does: some seconds on a small device. */
const MOST_MEMORY_MIB = 512;
const MOST_PASSES = 6;
/** What this page can open a vault by. */
const OPENS = [PASSPHRASE, BACKUP];

/** When slots were made and used, as the node says, by id. */
const told = new Map();
/** The passphrase, or the backup key and its text, that is shown and not added yet. */
let fresh = null;
let key = null;

let modules = null;

/** What draws passphrases and codes, loaded when somebody wants one: the page has its digests, as of all that it loads. */
async function loaded() {
  await later();
  return Object.assign({}, await import("./drawn.js"), await import("./qr.js"));
}

// ---- the list

const time = (message) => (message.number(1) === 0n ? null : at(message.number(1) * 1_000n));

function list({ vault }) {
  const words = $("kinds").dataset;
  const ours = vault.slots.filter(({ kind }) => OPENS.includes(kind));
  const rows = vault.slots.map((slot) => {
    const id = idText(slot.id);
    const { made = null, used = null } = told.get(id) ?? {};
    const row = rowOf("slot", words[`kind${slot.kind}`], { id: id.slice(0, 8), made, used });
    const here = vault.openedThrough !== null && equal(slot.id, vault.openedThrough);
    row.querySelector("[data-here]").hidden = !here;
    // one that this page can use stays
    const goes = OPENS.includes(slot.kind) && ours.length > 1;
    row.querySelector("details").hidden = !goes;
    row.querySelector("[data-stays]").hidden = goes;
    row.querySelector('[data-act="remove"]').addEventListener("click", () => remove(slot));
    return row;
  });
  $("slots").replaceChildren(...rows);
}

function remove(slot) {
  withOpen(async (open) => {
    const { vault } = open;
    const slots = vault.slots.filter(({ id }) => !equal(id, slot.id));
    await present(open, async () => {
      const less = await changed(vault, [], { slots });
      await commit(open, "RemoveKeySlot", less, [text(2, idText(slot.id)), bytes(3, less.signed)]);
    }).finally(() => list(open));
    nowDue(open.id, vault.epoch);
    $("due").hidden = false;
    $("title").focus({ preventScroll: true });
    return "slot_removed";
  });
}

// ---- adding

/** What a slot costs at the least by the tenant's policy, as `ocmt` takes it. */
function costOf({ handout }) {
  const least = (told, most, own) => Math.max(Math.min(Number(told), most), own);
  const memoryKib = least(handout.number(8), MOST_MEMORY_MIB, 0) * 1_024;
  const passes = least(handout.number(9), MOST_PASSES, DEFAULT.passes);
  return { ...DEFAULT, memoryKib: Math.max(memoryKib, DEFAULT.memoryKib), passes };
}

async function add(open, kind, secret) {
  const { vault } = open;
  if (vault.slots.filter((slot) => slot.kind === kind).length >= MAX_STRETCHED_SLOTS) throw new Told("full");
  compute();
  try {
    const slot = await newSlot(vault, secret, { kind, cost: costOf(open) });
    await present(open, async () => {
      const more = await changed(vault, [], { slots: [...vault.slots, slot] });
      await commit(open, "AddKeySlot", more, [bytes(2, slot.stored), bytes(3, more.signed)]);
    });
    told.set(idText(slot.id), { made: at(Date.now()) });
  } finally {
    secret.fill(0);
    rest();
    list(open);
  }
}

function forget() {
  fresh = null;
  key?.bytes.fill(0);
  key = null;
  for (const id of ["new_passphrase", "backup_key", "qr"]) $(id).replaceChildren();
  for (const id of ["check_passphrase", "check_kit"]) $(id).value = "";
  for (const id of ["passphrase_card", "kit_card"]) $(id).hidden = true;
  for (const id of ["draw", "kit"]) $(id).hidden = false;
}

$("draw").addEventListener("click", () => {
  withOpen(async ({ vault }) => {
    modules ??= await loaded();
    need(vault.isOpen);
    forget();
    fresh = modules.drawn();
    $("new_passphrase").textContent = fresh;
    $("draw").hidden = true;
    $("passphrase_card").hidden = false;
    $("check_passphrase").focus();
  });
});

$("kit").addEventListener("click", () => {
  withOpen(async ({ vault }) => {
    modules ??= await loaded();
    const bytes = random(32);
    const text = await backupText(bytes);
    need(vault.isOpen);
    forget();
    key = { bytes, text };
    $("backup_key").textContent = key.text;
    $("where").textContent = location.origin;
    $("qr").replaceChildren(modules.qr(key.text, $("qr").dataset.label));
    $("kit").hidden = true;
    $("kit_card").hidden = false;
    $("check_kit").focus();
  });
});

for (const id of ["print_passphrase", "print_kit"]) $(id).addEventListener("click", () => globalThis.print());
for (const id of ["drop_passphrase", "drop_kit"]) {
  $(id).addEventListener("click", () => {
    forget();
    $("title").focus({ preventScroll: true });
  });
}

$("add_passphrase").addEventListener("submit", (event) => {
  event.preventDefault();
  withOpen(async (open) => {
    if (fresh === null || !modules.isOnPaper(fresh, $("check_passphrase").value)) throw new Told("card");
    await add(open, PASSPHRASE, passphraseBytes(fresh));
    forget();
    $("title").focus({ preventScroll: true });
    return "passphrase_added";
  });
});

$("add_kit").addEventListener("submit", (event) => {
  event.preventDefault();
  withOpen(async (open) => {
    const last = $("check_kit").value.trim().toUpperCase();
    if (key === null || last !== key.text.slice(-4)) throw new Told("kit");
    await add(open, BACKUP, key.bytes.slice());
    forget();
    $("title").focus({ preventScroll: true });
    return "kit_added";
  });
});

begin({
  opened: async (open) => {
    for (const slot of open.slots) told.set(slot.text(1), { made: time(slot.message(4)), used: time(slot.message(5)) });
    list(open);
  },
  locked: () => {
    // what is on paper by then opens nothing
    const lost = fresh !== null || key !== null ? "paper_lost" : null;
    forget();
    told.clear();
    $("slots").replaceChildren();
    return lost;
  },
});
