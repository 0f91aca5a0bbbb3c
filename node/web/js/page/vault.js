// One's own secrets: listed by name, shown for half a minute, copied, written, deleted. The node sees sealed objects and ids that
// say nothing of their names.

import { need, Refused, text as decoded, utf8 } from "../core/codec.js";
import { changed, sealEntry } from "../core/vault_change.js";
import { wired } from "./opening.js";
import { $, Told } from "./shown.js";
import { begin, withOpen } from "./vault_open.js";
import { readAll, readOne } from "./vault_read.js";
import { clear, draw, shown } from "./vault_rows.js";
import { commit } from "./vault_write.js";
import { bytes, message, number } from "./wire.js";

const MAX_NAME = 255;
const MAX_VALUE = 65_536;

let known = new Map();
let entries = [];
/** Some of what the node shows is not what was written. */
let damaged = false;
/** The entry that is being changed, and the version that its change is of; null for a new one. */
let changing = null;

// ---- the list

const render = () => draw(entries, $("search").value, damaged, { show, copy, change, remove });

async function list(open) {
  const read = await readAll(open, known);
  // locked meanwhile: nothing of it is shown any more
  need(open.vault.isOpen);
  entries = read.entries;
  damaged = read.damaged > 0;
  $("damaged").hidden = !damaged;
  render();
}

/** Work with the open vault, and the list anew if the vault is another one then. */
function work(what) {
  withOpen(async (open) => {
    const before = open.vault.seen.counter;
    const again = async () => {
      if (open.vault.seen.counter !== before) await list(open);
    };
    let done;
    try {
      done = await what(open);
    } catch (error) {
      // why it failed matters more than that the list could not be read
      await again().catch(() => {});
      throw error;
    }
    await again();
    return done;
  });
}

/** The entry as it is now, with its value as text; what is none is for a terminal. */
async function readText(open, entry) {
  const { value, ...now } = await readOne(open, entry.id);
  try {
    return { ...entry, ...now, text: decoded(value) };
  } catch (error) {
    throw error instanceof Refused ? new Told("binary") : error;
  } finally {
    value.fill(0);
  }
}

const show = (entry) =>
  work(async (open) => {
    shown.put(await readText(open, entry));
  });

const copy = (entry) =>
  work(async (open) => {
    const { text } = await readText(open, entry);
    await navigator.clipboard.writeText(text).catch(() => {
      throw new Told("no_clipboard");
    });
    return "copied";
  });

// ---- writing

function edits(entry, value) {
  changing = entry && { name: entry.name, version: entry.version, expiresAt: entry.expiresAt, remindAt: entry.remindAt };
  const [name, field] = [$("name"), $("value")];
  name.value = entry?.name ?? "";
  name.readOnly = entry !== null;
  field.value = value;
  for (const one of document.querySelectorAll("[data-when]")) one.hidden = (one.dataset.when === "change") !== (entry !== null);
}

const change = (entry) =>
  work(async (open) => {
    const now = await readText(open, entry);
    edits(now, now.text);
    $("value").focus();
  });

/** What is written, or why it cannot be. */
function written() {
  const name = changing?.name ?? $("name").value.trim().normalize("NFC");
  const length = utf8(name).length;
  if (length < 1 || length > MAX_NAME || /\p{Cc}/u.test(name) || decoded(utf8(name)) !== name) throw new Told("bad_name");
  const value = utf8($("value").value);
  if (value.length > MAX_VALUE) throw new Told("too_large");
  return { name, value, expiresAt: changing?.expiresAt ?? null, remindAt: changing?.remindAt ?? null };
}

async function save(open) {
  const { vault } = open;
  const entry = { ...written(), writtenAt: BigInt(Date.now()) };
  const id = await vault.entryId(entry.name);
  const there = vault.versionOf(id);
  if (changing === null && there > 0n) throw new Told("exists");
  if (changing !== null && there !== changing.version) {
    changing.version = there;
    throw new Told("conflict");
  }
  const object = await sealEntry(vault, entry);
  entry.value.fill(0);
  const change = await changed(vault, [object]);
  try {
    await commit(open, "PutEntry", change, [bytes(2, wired(object)), bytes(3, change.signed)]);
  } catch (error) {
    // who has been told of the other's change may write over it
    if (error instanceof Told && changing !== null) changing.version = vault.versionOf(id);
    throw error;
  }
  edits(null, "");
  return "saved";
}

const remove = (entry) =>
  work(async (open) => {
    const { vault } = open;
    if (vault.versionOf(entry.id) !== entry.version) throw new Told("conflict");
    const gone = await changed(vault, [], { deleted: [entry.id] });
    const named = message(bytes(1, entry.id), number(2, entry.version));
    await commit(open, "DeleteEntry", gone, [bytes(2, named), bytes(3, gone.signed)]);
    $("title").focus({ preventScroll: true });
    return "deleted";
  });

$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  work(save);
});
$("cancel").addEventListener("click", () => {
  edits(null, "");
  $("name").focus();
});
$("search").addEventListener("input", render);

begin({
  opened: async (open) => {
    await list(open);
  },
  locked: () => {
    known = new Map();
    entries = [];
    damaged = false;
    edits(null, "");
    $("search").value = "";
    clear();
  },
  tick: () => shown.tick(),
});
