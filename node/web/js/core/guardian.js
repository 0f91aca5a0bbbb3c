// A guardian's side of a set: docs/formats-cell-and-recovery.md, "Guardian set", "Units of a guardian", "Drill".

import { concat, equal, head, hex, need, Reader, Refused, u8, utf8 } from "./codec.js";
import { unseal } from "./hpke.js";
import { areHalves, sha256, sign, verify } from "./keys.js";

const SET = 0x30;
const UNIT = 0x31;
const DRILL_ANSWER = 0x36;
const DRILL_CHALLENGE = 0x37;
const MAX_UNITS = 20;
const UNIT_LEN = 6 + 16 + 16 + 3 + 32 * 3;
const HOUR_MS = 60n * 60n * 1_000n;
const YEAR_MS = 365n * 24n * HOUR_MS;

function readSet(body) {
  const reader = new Reader(body, SET);
  const set = { id: reader.take(16), tenant: reader.take(16), vault: reader.take(16) };
  const keys = () => ({ identity: reader.take(32), sealing: reader.take(32) });
  set.owner = keys();
  set.threshold = reader.u8();
  set.delays = { lock: reader.u64(), recovery: reader.u64(), change: reader.u64(), window: reader.u64() };
  set.dealtAt = reader.i64();
  let next = 1;
  set.guardians = reader.list(MAX_UNITS, 81, () => {
    const guardian = { id: reader.take(16), ...keys(), weight: reader.u8() };
    need(guardian.weight >= 1 && guardian.weight <= MAX_UNITS);
    guardian.units = Array.from({ length: guardian.weight }, (_, at) => next + at);
    next += guardian.weight;
    return guardian;
  });
  set.units = reader.list(MAX_UNITS, 64, () => ({ commitment: reader.take(32), drill: reader.take(32) }));
  reader.done();
  return set;
}

const allDiffer = (items) => new Set(items.map(hex)).size === items.length;

function checkStructure({ threshold, owner, guardians, units }) {
  const total = guardians.reduce((sum, { weight }) => sum + weight, 0);
  need(threshold >= 2 && threshold <= total && total <= MAX_UNITS && units.length === total);
  need(guardians.every(({ weight }) => weight < threshold));
  need(allDiffer([owner.identity, ...guardians.map(({ identity }) => identity)]));
  need(allDiffer([owner.sealing, ...guardians.map(({ sealing }) => sealing)]));
  need(allDiffer(guardians.map(({ id }) => id)));
}

/** Delays that a set may have; shorter ones only in a development cluster. */
export function checkDelays({ lock, recovery, change, window }, { dev = false } = {}) {
  const all = [lock, recovery, change, window];
  need(all.every((delay) => delay <= YEAR_MS && (dev || delay >= HOUR_MS)));
  need(lock >= recovery && recovery >= change + window);
}

/** The owner's identity key as the set itself names it: for who has pinned none, to verify it under and to pin. */
export const claimedOwner = (signed) => {
  need(signed.length > 64);
  return readSet(signed.slice(0, -64)).owner.identity;
};

/** Verifies a set under the owner's identity key, which the caller pinned. */
export async function verifySet(signed, owner) {
  need(signed.length > 64);
  const body = signed.slice(0, -64);
  const set = readSet(body);
  await verify(owner, "guardian set", body, signed.slice(-64));
  need(equal(set.owner.identity, owner));
  checkStructure(set);
  set.hash = await sha256(utf8("OCMT guardian set v1\0"), body);
  return set;
}

/** The guardian of the set whose identity key has this seed. */
export async function seatOf(set, seed) {
  for (const guardian of set.guardians) if (await areHalves(seed, guardian.identity)) return guardian;
  throw new Refused();
}

/** Set to blind, as a unit has it and as an approval releases it. */
export const shareBytes = (unit) =>
  concat(unit.set, unit.vault, Uint8Array.of(unit.x, unit.k, unit.n), unit.share, unit.blind);

function readUnit(bytes) {
  const reader = new Reader(bytes, UNIT);
  const unit = { set: reader.take(16), vault: reader.take(16), x: reader.u8(), k: reader.u8(), n: reader.u8() };
  Object.assign(unit, { share: reader.take(32), blind: reader.take(32), drill: reader.take(32) });
  reader.done();
  return unit;
}

async function checkUnit(unit, set) {
  need(equal(unit.set, set.id) && equal(unit.vault, set.vault));
  need(unit.k === set.threshold && unit.n === set.units.length && unit.x >= 1 && unit.x <= unit.n);
  const { commitment, drill } = set.units[unit.x - 1];
  const domain = utf8("OCMT share commitment v1\0");
  need(equal(commitment, await sha256(domain, unit.set, unit.vault, u8(unit.x), unit.share, unit.blind)));
  need(await areHalves(unit.drill, drill));
}

/** Opens the units of one's own in a verified set: taken only if they are exactly one's own and each holds. */
export async function openUnits(sealed, set, keys) {
  const guardian = await seatOf(set, keys.identity);
  const aad = concat(set.hash, guardian.identity);
  const plaintext = await unseal(keys.sealing, utf8("OCMT guardian units v1"), aad, sealed);
  const units = [];
  try {
    const reader = new Reader(plaintext);
    reader.list(MAX_UNITS, UNIT_LEN, () => {
      const bytes = reader.take(UNIT_LEN);
      units.push(readUnit(bytes));
      bytes.fill(0);
    });
    reader.done();
    need(units.length === guardian.units.length && units.every((unit, at) => unit.x === guardian.units[at]));
    for (const unit of units) await checkUnit(unit, set);
  } catch (error) {
    wipeUnits(units);
    throw error;
  } finally {
    plaintext.fill(0);
  }
  return units;
}

export function wipeUnits(units) {
  for (const { share, blind, drill } of units) for (const secret of [share, blind, drill]) secret.fill(0);
}

/** Shows that the units are still here, and nothing of them: one answer a unit. `now` is milliseconds, a BigInt. */
export async function answerDrill(challenge, units, now) {
  const reader = new Reader(challenge, DRILL_CHALLENGE);
  const set = reader.take(16);
  reader.take(32);
  const expires = reader.i64();
  reader.done();
  need(units.every((unit) => equal(unit.set, set)) && now < expires);
  return Promise.all(
    units.map(async ({ x, drill }) => {
      const signature = await sign(drill, "drill answer", concat(challenge, u8(x)));
      return concat(head(DRILL_ANSWER), u8(x), signature);
    }),
  );
}
