// A vault for who has none, as the command line makes one (node/client/src/vault), and its keys made known.

import { hex, idText } from "../core/codec.js";
import { random } from "../core/keys.js";
import { readObject } from "../core/object.js";
import { passphraseBytes } from "../core/stretch.js";
import { createVault } from "../core/vault_make.js";
import { call, Declined, NOT_FOUND, once } from "./call.js";
import { compute, place, saw, wired } from "./opening.js";
import { bytes, message, text } from "./wire.js";

/** A vault with this passphrase, which nobody has been told of yet, with its public identity keys and what uploads it. */
export async function madeHere(tenant, passphrase) {
  compute();
  const random16 = random(16);
  random16[6] = (random16[6] & 0x0f) | 0x40;
  random16[8] = (random16[8] & 0x3f) | 0x80;
  const id = idText(random16);
  const secret = passphraseBytes(passphrase);
  const { vault, upload } = await createVault(place(tenant, id), [{ secret }]);
  secret.fill(0);
  // a repeat after a lost answer is the same call, and makes no second vault
  const again = once();
  const send = async () => {
    const objects = upload.objects.map((one) => bytes(5, wired(readObject(one))));
    const slots = upload.slots.map((slot) => bytes(4, slot));
    const front = message(text(1, id), bytes(3, upload.verifyKey), ...slots, ...objects);
    await call("VaultService/CreateVault", message(front, bytes(6, upload.manifest), again));
    saw(id, vault.seen);
  };
  return { vault, send };
}

/** Makes the identity known in one's tenant, as it has to be before one is a guardian. */
export async function publish({ identity, sealing }) {
  try {
    const known = (await call("UserService/GetIdentityKey", new Uint8Array())).message(1);
    if (hex(known.bytes(2)) === hex(identity) && hex(known.bytes(3)) === hex(sealing)) return;
  } catch (error) {
    if (!(error instanceof Declined) || error.code !== NOT_FOUND) throw error;
  }
  await call("UserService/PublishIdentityKey", message(bytes(1, identity), bytes(2, sealing), once()));
}
