// Argon2id. The bounds are held before anything is allocated: too little is a downgrade, too much an attack.

import { concat, need, text, u32, utf8, varied } from "./codec.js";

/** 64 MiB, 3 passes, 4 lanes: what new slots take. */
export const DEFAULT = { memoryKib: 65_536, passes: 3, lanes: 4 };

const within = (number, least, most) => number >= least && number <= most;

function checkCost({ memoryKib, passes, lanes, salt }) {
  need(within(memoryKib, 19 * 1_024, 1_024 * 1_024) && within(passes, 2, 10));
  need(within(lanes, 1, 16) && within(salt.length, 16, 64));
}

export function readStretch(reader) {
  const cost = { memoryKib: reader.u32(), passes: reader.u32(), lanes: reader.u32(), salt: reader.varied(64) };
  checkCost(cost);
  return cost;
}

export const stretchBytes = ({ memoryKib, passes, lanes, salt }) =>
  concat(u32(memoryKib), u32(passes), u32(lanes), varied(salt));

/** The bytes of a passphrase: NFC, 1 to 1,024. */
export function passphraseBytes(passphrase) {
  const bytes = utf8(passphrase.normalize("NFC"));
  // half a surrogate pair would become U+FFFD, and two passphrases one
  need(within(bytes.length, 1, 1_024) && text(bytes) === passphrase.normalize("NFC"));
  return bytes;
}

let derive = null;

/** Says what computes Argon2id: pages give a worker, so that they stay awake and need no WebAssembly themselves. */
export function stretchWith(implementation) {
  derive = implementation;
}

export async function stretched(secret, cost) {
  checkCost(cost);
  return derive(secret, cost);
}
