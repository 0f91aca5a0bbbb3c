// Objects of a vault and what is in them: docs/formats.md, "Vault key, data keys, objects".

import { concat, equal, head, i64, need, option, Reader, text, u64, utf8, varied } from "./codec.js";
import { BODY, openEnvelope, sealEnvelope, WRAPPED_KEY } from "./envelope.js";
import { mac, random, sha256 } from "./keys.js";

const OBJECT = 0x17;
const KEYRING = 0x13;
const ENTRY = 0x14;
const MAX_PLAINTEXT = 66_560;
const MAX_VALUE = 65_536;

export const keyringId = () => sha256(utf8("OCMT keyring v1"));

const placeOf = (scope, object) => concat(scope, object.id, u64(object.version));

export function readObject(stored) {
  const reader = new Reader(stored, OBJECT);
  const object = { id: reader.take(32), version: reader.u64(), wrapped: reader.varied(72), body: reader.varied(69_632) };
  reader.done();
  need(object.version >= 1n && object.wrapped.length === 72);
  return object;
}

/** The data key of an object, which is for the caller to overwrite, and the place that it is for. */
export async function dataKeyOf(object, scope, vaultKey, epoch) {
  const place = placeOf(scope, object);
  const dataKey = await openEnvelope(WRAPPED_KEY, vaultKey, place, object.wrapped);
  need(dataKey.epoch === epoch && dataKey.plaintext.length === 32);
  return { place, dataKey: dataKey.plaintext };
}

export async function openObject(object, scope, vaultKey, epoch) {
  const { place, dataKey } = await dataKeyOf(object, scope, vaultKey, epoch);
  try {
    return (await openEnvelope(BODY, dataKey, place, object.body)).plaintext;
  } finally {
    dataKey.fill(0);
  }
}

export async function makeObject(scope, vaultKey, epoch, id, version, plaintext) {
  need(plaintext.length <= MAX_PLAINTEXT);
  const object = { id, version: BigInt(version) };
  const place = placeOf(scope, object);
  const dataKey = random(32);
  object.body = await sealEnvelope(BODY, epoch, dataKey, place, plaintext);
  object.wrapped = await sealEnvelope(WRAPPED_KEY, epoch, vaultKey, place, dataKey);
  dataKey.fill(0);
  return object;
}

export const objectBytes = ({ id, version, wrapped, body }) =>
  concat(head(OBJECT), id, u64(version), varied(wrapped), varied(body));

// ---- leaves: what the manifest proves of an object

export const leafOf = async ({ id, version, body }) => ({ id, version, hash: await sha256(body) });

const leafHash = ({ id, version, hash }) => sha256(Uint8Array.of(0), id, u64(version), hash);

async function tree(hashes) {
  if (hashes.length <= 1) return hashes[0] ?? sha256();
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return sha256(Uint8Array.of(1), await tree(hashes.slice(0, split)), await tree(hashes.slice(split)));
}

/** RFC 6962, over leaves that ascend by object. */
export async function rootOf(leaves) {
  return tree(await Promise.all(leaves.map(leafHash)));
}

// ---- the keyring

export const KEYS = ["name", "signing", "identity", "sealing", "channel", "inbox", "inboxMac"];

/** Fresh keys, but for the seeds of the two signing keys, whose public halves the caller wants to know. */
export const newKeyring = (signing, identity) => ({
  ...Object.fromEntries(KEYS.map((name) => [name, random(32)])),
  signing,
  identity,
});

/** The same keys, in places of their own. */
export const copied = (keyring) => Object.fromEntries(KEYS.map((name) => [name, keyring[name].slice()]));

export const keyringBytes = (keyring) => concat(head(KEYRING), ...KEYS.map((name) => keyring[name]));

export function readKeyring(plaintext) {
  const reader = new Reader(plaintext, KEYRING);
  const keyring = Object.fromEntries(KEYS.map((name) => [name, reader.take(32)]));
  reader.done();
  return keyring;
}

// ---- entries

export const entryId = (nameKey, name) => mac(nameKey, concat(utf8("OCMT entry v1\0"), utf8(name)));

function checkName(name) {
  const bytes = utf8(name);
  need(bytes.length >= 1 && bytes.length <= 255 && text(bytes) === name);
  need(name.normalize("NFC") === name && !/\p{Cc}/u.test(name));
}

export const isEntry = (plaintext) => equal(plaintext.slice(0, 6), head(ENTRY));

export function entryBytes({ name, writtenAt, expiresAt, remindAt, value }) {
  checkName(name);
  need(value.length <= MAX_VALUE);
  const [expires, remind] = [expiresAt, remindAt].map((at) => option(at === null ? null : i64(at)));
  return concat(head(ENTRY), varied(utf8(name)), i64(writtenAt), expires, remind, varied(value));
}

export function readEntry(plaintext) {
  const reader = new Reader(plaintext, ENTRY);
  const name = text(reader.varied(255));
  checkName(name);
  const time = () => reader.i64();
  const entry = { name, writtenAt: time(), expiresAt: reader.option(time), remindAt: reader.option(time) };
  entry.value = reader.varied(MAX_VALUE);
  reader.done();
  return entry;
}
