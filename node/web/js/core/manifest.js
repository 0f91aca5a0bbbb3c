// Manifest and succession: docs/formats.md, sections of these names.

import { compare, concat, equal, head, list, need, Reader, u8, u32, u64 } from "./codec.js";
import { sign, verify } from "./keys.js";
import { rootOf } from "./object.js";

const MANIFEST = 0x11;
const SUCCESSION = 0x12;
const MAX_CHAIN = 4_096;
const MAX_OBJECTS = 10_001;
export const MAX_SLOTS = 255;

const ascend = (items) => items.every((item, at) => at === 0 || compare(items[at - 1].id, item.id) < 0);

/** Verifies and reads a manifest. Counter, root and slots are for the caller to hold against what it knows. */
export async function openManifest(signed, scope, verifyKey) {
  need(signed.length > 64);
  const body = signed.slice(0, -64);
  await verify(verifyKey, "manifest", concat(scope, body), signed.slice(-64));
  const reader = new Reader(body, MANIFEST);
  const manifest = { counter: reader.u64(), epoch: reader.u32(), objects: reader.u32(), root: reader.take(32) };
  const slot = () => ({ id: reader.take(16), kind: reader.u8(), public: reader.take(32) });
  manifest.slots = reader.list(MAX_SLOTS, 49, slot);
  manifest.hosts = reader.list(64, 32, () => ({ id: reader.take(16), node: reader.take(16) }));
  const anchor = () => ({ id: reader.take(16), records: reader.u64(), tag: reader.take(16) });
  manifest.anchors = reader.list(1_024, 40, anchor);
  reader.done();
  need(manifest.objects <= MAX_OBJECTS && manifest.slots.every(({ kind }) => kind >= 1 && kind <= 5));
  need(ascend(manifest.slots) && ascend(manifest.hosts) && ascend(manifest.anchors));
  return manifest;
}

export async function signManifest(manifest, scope, signing) {
  const body = concat(
    head(MANIFEST),
    u64(manifest.counter),
    u32(manifest.epoch),
    u32(manifest.objects),
    manifest.root,
    list(manifest.slots.map((slot) => concat(slot.id, u8(slot.kind), slot.public))),
    list(manifest.hosts.map((host) => concat(host.id, host.node))),
    list(manifest.anchors.map((anchor) => concat(anchor.id, u64(anchor.records), anchor.tag))),
  );
  return concat(body, await sign(signing, "manifest", concat(scope, body)));
}

/** Whether exactly these leaves, in any order, are what the manifest counts and its root names. */
export async function proves(manifest, leaves) {
  const sorted = [...leaves].sort((one, other) => compare(one.id, other.id));
  return sorted.length === manifest.objects && ascend(sorted) && equal(await rootOf(sorted), manifest.root);
}

const successionMessage = (scope, { epoch, old, next }) => concat(scope, u32(epoch), old, next);

/** From the present key to the one that holds from this epoch on, signed by the present one. */
export async function makeSuccession(scope, link, signing) {
  const signature = await sign(signing, "succession", successionMessage(scope, link));
  return concat(head(SUCCESSION), u32(link.epoch), link.old, link.next, signature);
}

export const checkSuccession = (scope, link) =>
  verify(link.old, "succession", successionMessage(scope, link), link.signature);

export function readSuccession(stored) {
  const reader = new Reader(stored, SUCCESSION);
  const link = { epoch: reader.u32(), old: reader.take(32), next: reader.take(32), signature: reader.take(64) };
  reader.done();
  return link;
}

/**
 * Follows the chain, oldest first, from the pinned key to the present one. `seen`, the newest key that this browser
 * has met, must lie on it: a branch under a key that was given up is refused.
 */
export async function follow(scope, successions, pinned, seen = null) {
  need(successions.length <= MAX_CHAIN);
  const chain = successions.map(readSuccession);
  if (chain.length === 0) {
    need(seen === null || equal(seen, pinned));
    return pinned;
  }
  const keys = [chain[0].old, ...chain.map((link) => link.next)];
  const placeOf = (key) => {
    const place = keys.findIndex((other) => equal(other, key));
    need(place >= 0);
    return place;
  };
  const start = Math.min(placeOf(pinned), placeOf(seen ?? pinned));
  for (const [at, link] of chain.entries()) {
    need(equal(keys[at], link.old) && (at === 0 || link.epoch > chain[at - 1].epoch));
    if (at >= start) await checkSuccession(scope, link);
  }
  return keys.at(-1);
}
