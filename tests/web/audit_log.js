// A tenant's audit as browsers verify it: records and a signed head out of the vectors, and proofs out of trees that are grown here as
// RFC 6962 defines them, level by level.

import { checkExtends, keptHead, leafHash, openKept, readHead, readRecord, rootOver } from "../../node/web/js/core/audit.js";
import { equal, idText, need, unhex, utf8 } from "../../node/web/js/core/codec.js";
import { sha256 } from "../../node/web/js/core/keys.js";
import { refuses } from "./published.js";

/** Trees of so many leaves are tried, whole ones and others. */
const MOST = 17;

const joined = (left, right) => sha256(Uint8Array.of(1), left, right);
/** The largest power of two below `count`. */
const half = (count) => 2 ** Math.floor(Math.log2(count - 1));

async function rootOf(leaves) {
  if (leaves.length === 1) return leaves[0];
  const at = half(leaves.length);
  return joined(await rootOf(leaves.slice(0, at)), await rootOf(leaves.slice(at)));
}

/** PATH of RFC 6962, 2.1.1. */
async function path(index, leaves) {
  if (leaves.length === 1) return [];
  const at = half(leaves.length);
  const [left, right] = [leaves.slice(0, at), leaves.slice(at)];
  return index < at ? [...(await path(index, left)), await rootOf(right)] : [...(await path(index - at, right)), await rootOf(left)];
}

/** SUBPROOF of RFC 6962, 2.1.2. */
async function subproof(old, leaves, whole) {
  if (old === leaves.length) return whole ? [] : [await rootOf(leaves)];
  const at = half(leaves.length);
  const [left, right] = [leaves.slice(0, at), leaves.slice(at)];
  if (old <= at) return [...(await subproof(old, left, whole)), await rootOf(right)];
  return [...(await subproof(old - at, right, false)), await rootOf(left)];
}

const flipped = (bytes, at = bytes.length - 1) => bytes.map((byte, place) => (place === at ? byte ^ 1 : byte));

async function inclusion(leaves, root) {
  const size = BigInt(leaves.length);
  for (const [index, leaf] of leaves.entries()) {
    const proof = await path(index, leaves);
    const led = (at, all, hash, hashes) => rootOver(hash, BigInt(at), all, hashes);
    need(equal(await led(index, size, leaf, proof), root));
    need(!equal(await led(index, size, flipped(leaf), proof), root));
    for (const at of proof.keys()) {
      need(!equal(await led(index, size, leaf, proof.map((hash, place) => (place === at ? flipped(hash) : hash))), root));
    }
    await refuses(() => led(index, size, leaf, [...proof, root]));
    if (proof.length > 0) await refuses(() => led(index, size, leaf, proof.slice(1)));
    await refuses(() => led(leaves.length, size, leaf, proof));
  }
}

async function consistency(leaves, root, older) {
  const newer = { size: BigInt(leaves.length), root };
  const proof = await subproof(Number(older.size), leaves, true);
  await checkExtends(older, newer, proof);
  await refuses(() => checkExtends({ ...older, root: flipped(older.root) }, newer, proof));
  await refuses(() => checkExtends(older, { ...newer, root: flipped(root) }, proof));
  await refuses(() => checkExtends(older, newer, [...proof, root]));
  if (proof.length > 0) await refuses(() => checkExtends(older, newer, proof.slice(1)));
  for (const at of proof.keys()) {
    await refuses(() => checkExtends(older, newer, proof.map((hash, place) => (place === at ? flipped(hash) : hash))));
  }
  if (older.size < newer.size) await refuses(() => checkExtends(newer, older, proof));
}

export async function auditLog({ audit }, { notes }) {
  const records = audit.rows.map(({ record }) => unhex(record));
  const [unknown, known] = records.map(readRecord);
  need(unknown.actor.id === null && known.actor.kind === 1 && known.actor.id.length === 16);
  need(known.action === "vault.entry.put" && known.object === "entry/1" && known.outcome === 0);
  need(idText(known.tenant) === audit.tenant && known.details[0].join() === "addr,192.0.2.1");
  for (let length = 0; length < records[0].length; length += 1) await refuses(async () => readRecord(records[0].slice(0, length)));
  await refuses(async () => readRecord(flipped(records[0], 4)));

  const [node, tenant] = [notes.node, notes.tenant].map((id) => idText(unhex(id)));
  const [key, other] = [notes.node_key, notes.next_key].map(unhex);
  const head = await readHead(notes.checkpoint, node, key, tenant);
  need(head.size === BigInt(notes.size) && equal(head.root, unhex(notes.root)) && head.at === BigInt(notes.at));
  await refuses(() => readHead(notes.checkpoint, node, other, tenant));
  await refuses(() => readHead(notes.checkpoint, tenant, key, tenant));
  await refuses(() => readHead(notes.checkpoint, node, key, node));
  await refuses(() => readHead(notes.checkpoint.replace("\n256\n", "\n257\n"), node, key, tenant));
  await refuses(() => readHead(notes.cut, node, key, tenant));
  await refuses(() => readHead(notes.introduction, node, key, tenant));
  const kept = openKept(keptHead(head));
  need(kept.size === head.size && equal(kept.root, head.root));
  for (const bad of ["", "0", "01", "x", "-1"]) await refuses(async () => openKept(new Uint8Array([...head.root, ...utf8(bad)])));

  const [leaves, heads] = [[], []];
  while (leaves.length < MOST) {
    leaves.push(await leafHash(utf8(`record ${leaves.length}`)));
    const root = await rootOf(leaves);
    heads.push({ size: BigInt(leaves.length), root });
    await inclusion(leaves, root);
    for (const older of heads) await consistency(leaves, root, older);
  }
}
