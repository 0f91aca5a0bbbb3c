// One record of one's own audit, verified here: that it says what stands in the log whose head a node has signed, and that this log is
// what it was when this browser last looked, with more behind it.

import { checkExtends, keptHead, leafHash, openKept, readHead, readRecord, rootOver } from "../core/audit.js";
import { equal, hex, idText, need, unhex } from "../core/codec.js";
import { call } from "./call.js";
import { $, busy, say, Told } from "./shown.js";
import { at } from "./vault_parts.js";
import { message, number } from "./wire.js";

const shown = $("record");
const { tenant, user, canonical, sequence, path, note, node, nodeKey } = shown.dataset;
const PATIENCE = 64;
const keptAt = `ocmt.audit.${tenant}`;

/** The head that this browser saw last; null if none, or it cannot be read. */
function seen() {
  const kept = localStorage.getItem(keptAt);
  return kept === null ? null : openKept(unhex(kept));
}

/** The same log, longer or as long: a node is asked to prove it. */
async function extended(older, newer) {
  if (older.size > newer.size) throw new Told("shorter");
  let proof = [];
  if (older.size < newer.size) {
    const asked = message(number(1, older.size), number(2, newer.size));
    const answer = await call("AuditService/ProveConsistency", asked);
    need(answer.number(1) === newer.size);
    proof = answer.all(2);
  }
  need(proof.length <= PATIENCE);
  await checkExtends(older, newer, proof).catch(() => {
    throw new Told("rewritten");
  });
}

async function verified() {
  const bytes = unhex(canonical);
  const record = readRecord(bytes);
  need(idText(record.tenant) === tenant && record.actor.id !== null && idText(record.actor.id) === user);
  const head = await readHead(note, node, unhex(nodeKey), tenant);
  const hashes = path === "" ? [] : path.split(" ").map(unhex);
  const root = await rootOver(await leafHash(bytes), BigInt(sequence) - 1n, head.size, hashes);
  need(equal(root, head.root));
  return { record, head };
}

/** What the record says, by itself: not what the node says of it. */
function tell({ record, head }, older) {
  const put = (name, text) => {
    const place = $(name);
    place.textContent = text;
    // nothing to say has no heading
    place.hidden = text === "";
    if (place.previousElementSibling?.tagName === "DT") place.previousElementSibling.hidden = text === "";
  };
  put("told-action", record.action);
  put("told-at", at(record.at));
  put("told-object", record.object);
  put("told-details", record.details.map((pair) => pair.join(": ")).join(", "));
  put("told-size", String(head.size));
  put("told-root", btoa(String.fromCharCode(...head.root)));
  put("told-before", older === null ? "" : String(older.size));
  $("first").hidden = older !== null;
  $("grown").hidden = older === null;
  $("told").hidden = false;
}

busy(async () => {
  const found = await verified().catch(() => {
    throw new Told("not_held");
  });
  const older = seen();
  if (older !== null) await extended(older, found.head);
  localStorage.setItem(keptAt, hex(keptHead(found.head)));
  tell(found, older);
  say("held");
});
