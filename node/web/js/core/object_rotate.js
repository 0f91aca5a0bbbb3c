// What a rotation makes of the objects of a vault: docs/formats.md, "Rotation".

import { concat, equal, head, Reader, Refused, u32, u64 } from "./codec.js";
import { BODY, openEnvelope, sealEnvelope, WRAPPED_KEY } from "./envelope.js";
import { random } from "./keys.js";
import { copied, dataKeyOf, KEYS, makeObject } from "./object.js";

const KEY_HISTORY = 0x15;
/** Most keys that a conversation or volume had before: one for each re-keying. */
const MAX_HISTORY = 1_024;
/** Head and count, and each version with its key. */
const [FRONT, ITEM] = [10, 40];
/** What a re-keying makes anew: whoever is shut out by it had these as well. Inbox items have to be filed before. */
const FRESH = ["channel", "inbox", "inboxMac"];

/** The keyring under another signing key, and where it is re-keyed, with other keys of channels and the inbox. */
export function turned(keyring, signing, rekeys) {
  const fresh = rekeys ? FRESH.map((name) => [name, random(32)]) : [];
  return { ...copied(keyring), signing: signing.slice(), ...Object.fromEntries(fresh) };
}

/** Whether this is what a rotation makes of the keyring of before: the keys that stay are the same, and no other is. */
export function isTurned(keyring, before, rekeys) {
  const stay = KEYS.filter((name) => name !== "signing");
  return stay.every((name) => equal(keyring[name], before[name]) !== (rekeys && FRESH.includes(name)));
}

/** The same version, its data key under the next vault key: whoever had that data key has it still. */
export async function rewrapped(object, scope, now, next) {
  const { place, dataKey } = await dataKeyOf(object, scope, now.vaultKey, now.epoch);
  try {
    return { ...object, wrapped: await sealEnvelope(WRAPPED_KEY, next.epoch, next.vaultKey, place, dataKey) };
  } finally {
    dataKey.fill(0);
  }
}

/** The next version, under a fresh data key; keys of a conversation or volume gain the one that they had. */
export async function rekeyed(object, scope, now, next) {
  const { place, dataKey } = await dataKeyOf(object, scope, now.vaultKey, now.epoch);
  const open = [dataKey];
  try {
    const { plaintext } = await openEnvelope(BODY, dataKey, place, object.body);
    open.push(plaintext);
    const kept = isHistory(plaintext) ? grown(plaintext, object.version, dataKey) : plaintext;
    open.push(kept);
    return await makeObject(scope, next.vaultKey, next.epoch, object.id, object.version + 1n, kept);
  } finally {
    for (const secret of open) secret.fill(0);
  }
}

function isHistory(plaintext) {
  try {
    const reader = new Reader(plaintext, KEY_HISTORY);
    const versions = reader.list(MAX_HISTORY, ITEM, () => {
      const version = reader.u64();
      reader.take(32).fill(0);
      return version;
    });
    reader.done();
    return versions.every((version, at) => at === 0 || versions[at - 1] < version);
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

function grown(plaintext, version, dataKey) {
  const had = (plaintext.length - FRONT) / ITEM;
  if (had >= MAX_HISTORY) throw new RangeError("keys that were replaced too often");
  return concat(head(KEY_HISTORY), u32(had + 1), plaintext.subarray(FRONT), u64(version), dataKey);
}
