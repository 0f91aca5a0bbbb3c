// A tenant's audit as a log: its records, the tree over them, its signed head. docs/formats.md, "Audit".

import { concat, equal, need, Reader, text, u8, utf8 } from "./codec.js";
import { sha256, verifyRaw } from "./keys.js";

const RECORD = 0x16;
const ANONYMOUS = 0;
const KINDS = 5;
const OUTCOMES = 3;

/** What a record says. `actor.id` is null of somebody unknown, `at` is milliseconds, a BigInt; `outcome` is 0 of what was done. */
export function readRecord(bytes) {
  const reader = new Reader(bytes, RECORD);
  const record = { tenant: reader.take(16), at: reader.i64(), request: reader.take(16) };
  const kind = reader.u8();
  need(kind < KINDS);
  record.actor = { kind, id: kind === ANONYMOUS ? null : reader.take(16) };
  record.action = text(reader.varied(64));
  record.object = text(reader.varied(512));
  record.outcome = reader.u8();
  need(record.outcome < OUTCOMES);
  record.details = reader.list(16, 8, () => [text(reader.varied(64)), text(reader.varied(512))]);
  reader.done();
  return record;
}

export const leafHash = (record) => sha256(u8(0), record);
const above = (left, right) => sha256(u8(1), left, right);

/** Both places one level up, and on to where the first is a right child. */
function climbed(place, last) {
  let [at, end] = [place, last];
  while ((at & 1n) === 0n && at !== 0n) [at, end] = [at >> 1n, end >> 1n];
  return [at, end];
}

/** The root that a proof of inclusion leads to (RFC 9162, 2.1.3.2). `index` counts from 0; numbers are BigInt. */
export async function rootOver(leaf, index, size, path) {
  need(index >= 0n && index < size);
  let [at, end, root] = [index, size - 1n, leaf];
  for (const hash of path) {
    need(end !== 0n && hash.length === 32);
    if ((at & 1n) === 1n || at === end) {
      root = await above(hash, root);
      [at, end] = climbed(at, end);
    } else {
      root = await above(root, hash);
    }
    [at, end] = [at >> 1n, end >> 1n];
  }
  need(end === 0n);
  return root;
}

/** Holds a proof that the log of the one head is the beginning of the other's (RFC 9162, 2.1.4.2). A head is { size, root }. */
export async function checkExtends(older, newer, path) {
  need(older.size > 0n && older.size <= newer.size && path.every((hash) => hash.length === 32));
  if (older.size === newer.size) return need(path.length === 0 && equal(older.root, newer.root));
  // of a whole tree the root is not sent, since whoever asks has it
  const whole = (older.size & (older.size - 1n)) === 0n;
  const [first, ...rest] = whole ? [older.root, ...path] : path;
  need(first !== undefined);
  let [at, end] = [older.size - 1n, newer.size - 1n];
  while ((at & 1n) === 1n) [at, end] = [at >> 1n, end >> 1n];
  let [old, now] = [first, first];
  for (const hash of rest) {
    need(end !== 0n);
    if ((at & 1n) === 1n || at === end) {
      old = await above(hash, old);
      now = await above(hash, now);
      [at, end] = climbed(at, end);
    } else {
      now = await above(now, hash);
    }
    [at, end] = [at >> 1n, end >> 1n];
  }
  return need(end === 0n && equal(old, older.root) && equal(now, newer.root));
}

function unbase64(letters) {
  try {
    return Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/**
 * The head that a node has signed, as a note. `node` and `tenant` are UUIDs as text, the key is that of the node's certificate.
 * Signatures in other names are passed over.
 */
export async function readHead(note, node, key, tenant) {
  const gap = note.indexOf("\n\n");
  need(gap > 0);
  const [signed, below] = [note.slice(0, gap + 1), note.slice(gap + 2).split("\n")];
  const name = `ocmt.node/${node}`;
  const id = (await sha256(utf8(name), u8(10), u8(1), key)).slice(0, 4);
  const made = below.filter((line) => line.startsWith(`— ${name} `)).map((line) => unbase64(line.slice(name.length + 3)));
  const own = made.find((one) => one.length === 68 && equal(one.slice(0, 4), id));
  need(own !== undefined);
  await verifyRaw(key, utf8(signed), own.slice(4));
  const lines = signed.split("\n");
  need(lines.length === 6 && lines[0] === `ocmt.audit/${tenant}` && /^(0|[1-9][0-9]{0,18})$/.test(lines[1]));
  need(/^chain [0-9a-f]{64}$/.test(lines[3]) && /^at [0-9]{1,18}$/.test(lines[4]));
  const root = unbase64(lines[2]);
  need(root.length === 32);
  return { size: BigInt(lines[1]), root, at: BigInt(lines[4].slice(3)) };
}

/** What of a log a browser keeps: the largest head that it saw. */
export const keptHead = ({ size, root }) => concat(root, utf8(String(size)));

export function openKept(bytes) {
  need(bytes.length > 32 && bytes.length < 52);
  const size = text(bytes.slice(32));
  need(/^[1-9][0-9]*$/.test(size));
  return { size: BigInt(size), root: bytes.slice(0, 32) };
}
