// A vault for who has none, as the command line makes one (node/client/src/vault), and its keys made known.

import { hex, idText } from "../core/codec.js";
import { ENGLISH } from "../core/english.js";
import { random } from "../core/keys.js";
import { readObject } from "../core/object.js";
import { passphraseBytes } from "../core/stretch.js";
import { createVault } from "../core/vault.js";
import { call, Declined, NOT_FOUND, once } from "./call.js";
import { compute, place, saw } from "./opening.js";
import { bytes, message, number, text } from "./wire.js";

/** Six words of 2,048: 66 bits, of chance alone. */
const WORDS = 6;

/**
 * A passphrase that nobody chose: what people choose would have to be judged, and the judge (zxcvbn) is half a megabyte.
 * The words go to paper.
 */
export function drawn() {
  const picked = new Uint16Array(random(WORDS * 2).buffer);
  return Array.from(picked, (one) => ENGLISH[one & 2_047]).join(" ");
}

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
    const objects = upload.objects.map((one) => {
      const { id: object, version, wrapped, body } = readObject(one);
      return bytes(5, message(bytes(1, object), number(2, version), bytes(3, wrapped), bytes(4, body)));
    });
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
