// A guardian's side of a ceremony: docs/formats-cell-and-recovery.md, "Ceremony".

import { concat, equal, head, i64, list, need, Reader, u8, utf8, varied } from "./codec.js";
import { seatOf, shareBytes } from "./guardian.js";
import { seal } from "./hpke.js";
import { areHalves, sha256, sign, verify } from "./keys.js";

const CEREMONY = 0x32;
const RELEASE_STATEMENT = 0x33;
const APPROVAL = 0x34;
const STOP = 0x35;
const RELEASED_UNITS = 0x38;
const MAX_OPEN_MS = 395n * 24n * 60n * 60n * 1_000n;
export const RECOVERY = 1;
const UNLOCK = 2;

export async function readCeremony(bytes) {
  const reader = new Reader(bytes, CEREMONY);
  const ceremony = { nonce: reader.take(32), tenant: reader.take(16), vault: reader.take(16) };
  Object.assign(ceremony, { set: reader.take(16), setHash: reader.take(32), requester: reader.take(32) });
  ceremony.purpose = reader.u8();
  need(ceremony.purpose === RECOVERY || ceremony.purpose === UNLOCK);
  Object.assign(ceremony, { openedAt: reader.i64(), delay: reader.u64(), expiresAt: reader.i64() });
  ceremony.overrides = reader.option(() => reader.take(32));
  reader.done();
  ceremony.hash = await sha256(utf8("OCMT ceremony v1\0"), bytes);
  return ceremony;
}

/** Holds a ceremony against the set that it names, as a guardian's device does before it approves. */
export function checkCeremony(ceremony, set) {
  need(equal(ceremony.tenant, set.tenant) && equal(ceremony.vault, set.vault));
  need(equal(ceremony.set, set.id) && equal(ceremony.setHash, set.hash));
  const overrides = ceremony.overrides !== null;
  need(!overrides || (ceremony.purpose === RECOVERY && set.units.length > set.threshold));
  const least = ceremony.purpose === UNLOCK ? 0n : overrides ? set.delays.lock : set.delays.recovery;
  need(ceremony.delay >= least);
  const open = ceremony.expiresAt - ceremony.openedAt;
  need(open > ceremony.delay && open <= MAX_OPEN_MS);
}

export function claimedNode(statement) {
  return readRelease(statement).node;
}

function readRelease(statement) {
  const reader = new Reader(statement, RELEASE_STATEMENT);
  const release = { ceremony: reader.take(32), key: reader.take(32), node: reader.take(16) };
  reader.take(64);
  reader.done();
  return release;
}

/** Verifies under the key of a node's certificate what the node states of a ceremony's release key. */
export async function verifyRelease(statement, node, nodeKey, ceremonyHash) {
  const release = readRelease(statement);
  await verify(nodeKey, "release key", statement.slice(0, -64), statement.slice(-64));
  need(equal(release.node, node) && equal(release.ceremony, ceremonyHash));
  return release;
}

/**
 * Approves with all of one's units. `set` was verified under the owner's pinned key, `release` under the node's,
 * `units` come of `openUnits` with that set. `now` is milliseconds, a BigInt.
 */
export async function approve(ceremony, set, release, keys, units, now) {
  checkCeremony(ceremony, set);
  const guardian = await seatOf(set, keys.identity);
  const { identity } = guardian;
  need(equal(release.ceremony, ceremony.hash) && now < ceremony.expiresAt);
  need(units.length === guardian.units.length);
  need(units.every((unit, at) => unit.x === guardian.units[at] && equal(unit.set, set.id)));
  const released = concat(head(RELEASED_UNITS), list(units.map(shareBytes)));
  const innerAad = concat(ceremony.hash, identity);
  const inner = await seal(ceremony.requester, utf8("OCMT approval inner v1"), innerAad, released);
  released.fill(0);
  const xs = varied(Uint8Array.from(guardian.units));
  const front = concat(head(APPROVAL), ceremony.hash, release.key, identity, xs);
  const body = concat(front, varied(await seal(release.key, utf8("OCMT approval outer v1"), front, inner)));
  return concat(body, await sign(keys.identity, "approval", body));
}

/** What guardians sign over, in place of a stopped ceremony, for an owner who has lost the mailbox and is reached at `address`. */
export const lostMailbox = (address) => sha256(utf8("OCMT lost mailbox v1\0"), utf8(address));

/** What a guardian may say to stop, slow or override a ceremony, with the purpose of its signature. */
const VERDICTS = {
  deny: [1, "ceremony denial"],
  lock: [2, "ceremony lock"],
  doubt: [3, "ceremony doubt"],
  veto: [4, "ceremony veto"],
  override: [5, "ceremony override"],
};

/** Signs a verdict on a ceremony by the key with these halves, as the set names it. `by`, the overriding ceremony's hash, is for `override` and for nothing else. */
export async function signStop(verdict, ceremonyHash, now, seed, identity, by = null) {
  need(Object.hasOwn(VERDICTS, verdict) && (verdict === "override") === (by !== null));
  need(await areHalves(seed, identity));
  const [tag, purpose] = VERDICTS[verdict];
  const front = concat(head(STOP), u8(tag), by ?? new Uint8Array(), ceremonyHash, i64(now));
  const body = concat(front, identity);
  return concat(body, await sign(seed, purpose, body));
}
