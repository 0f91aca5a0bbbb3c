// Rotations of a vault that Rust made: whole, cut off, and gone on with. proto/crypto/tests/browser_rotation gives what a node
// would store, and holds what comes back.

import { concat, hex, idBytes, Refused, unhex } from "../../node/web/js/core/codec.js";
import { keyringId, leafOf, objectBytes, readObject } from "../../node/web/js/core/object.js";
import { PASSPHRASE, RECOVERY } from "../../node/web/js/core/slot.js";
import { passphraseBytes } from "../../node/web/js/core/stretch.js";
import { openVault } from "../../node/web/js/core/vault.js";
import { renewed } from "../../node/web/js/core/vault_renew.js";
import { beginRotation, REKEY, resumeRotation, REWRAP } from "../../node/web/js/core/vault_rotate.js";

const scopeOf = ({ tenant, vault }) => concat(idBytes(tenant), idBytes(vault));
const secretOf = ({ passphrase, recovery }) =>
  passphrase === undefined ? [RECOVERY, unhex(recovery)] : [PASSPHRASE, passphraseBytes(passphrase)];

/** Opens it by the first of its secrets; slots that are `withheld` are not shown. */
async function opened(given) {
  const objects = given.objects.map(unhex);
  const shown = { successions: given.successions.map(unhex), manifest: unhex(given.manifest) };
  shown.slots = given.slots.filter((slot) => !(given.withheld ?? []).includes(slot)).map(unhex);
  shown.leaves = await Promise.all(objects.map((object) => leafOf(readObject(object))));
  const ring = hex(await keyringId());
  shown.keyring = objects.find((object) => hex(readObject(object).id) === ring);
  return openVault(scopeOf(given), shown, ...secretOf(given.secrets[0]));
}

const startOf = ({ epoch, verify_key: verifyKey, succession, slots, keyring }) =>
  ({ epoch, verifyKey: unhex(verifyKey), succession: unhex(succession), slots: slots.map(unhex), keyring: unhex(keyring) });

const toldOf = ({ epoch, verifyKey, succession, slots, keyring }) =>
  ({ epoch, verify_key: hex(verifyKey), succession: hex(succession), slots: slots.map(hex), keyring: hex(keyring) });

/** How many of these a rotation takes over. */
async function adoptedBy(rotation, staged) {
  let taken = 0;
  for (const object of staged.map(unhex)) {
    try {
      await rotation.adopt(object);
      taken += 1;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return taken;
}

async function refusesToFinish(rotation) {
  return rotation.finish().then(() => false, (error) => error instanceof Refused);
}

/** Names and values through the vault under its new keys, of what was staged by anybody. */
async function entriesOf(vault, stored) {
  const entries = [];
  for (const object of stored.map(unhex)) {
    const entry = await vault.openAny(object);
    if (entry !== null) entries.push([entry.name, hex(entry.value)]);
  }
  return entries.sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Begins a rotation, or goes on with `start`; converts `most` objects, or all, and then finishes. */
export async function rotated(given) {
  const vault = await opened(given);
  const mode = given.mode === "rekey" ? REKEY : REWRAP;
  const slot = await renewed(vault);
  const shown = given.slots.map(unhex);
  const rotation = given.start === undefined ? await beginRotation(vault, mode, shown) : await resumeRotation(vault, mode, startOf(given.start));
  const adopted = await adoptedBy(rotation, given.staged ?? []);
  const objects = new Map(given.objects.map((object) => [hex(readObject(unhex(object)).id), unhex(object)]));
  const staged = [];
  for (const { id } of (await rotation.left()).slice(0, given.most)) {
    staged.push(hex(objectBytes(await rotation.convert(objects.get(hex(id))))));
  }
  const told = { start: toldOf(rotation.start), adopted, staged, renewed: slot === null ? null : hex(slot.stored) };
  if ((await rotation.left()).length > 0) return { ...told, unfinished: await refusesToFinish(rotation) };
  const completed = await rotation.finish();
  const before = vault.epoch;
  vault.take(completed);
  rotation.wipe();
  const entries = await entriesOf(vault, [...staged, ...(given.staged ?? []).slice(0, adopted)]);
  const up_to_date = (await renewed(vault)) === null;
  return { ...told, manifest: hex(completed.signed), epochs: [before, vault.epoch], entries, up_to_date };
}
