// A backup key as people write it: docs/formats.md, "Backup key".

import { equal, utf8 } from "./codec.js";
import { sha256 } from "./keys.js";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const KEY = 52;
const CHECK = 4;

function base32(bytes) {
  let [out, held, bits] = ["", 0, 0];
  for (const byte of bytes) {
    held = ((held & 31) << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) out += LETTERS[(held >> (bits - 5)) & 31];
  }
  return bits > 0 ? out + LETTERS[(held << (5 - bits)) & 31] : out;
}

/** The bytes of letters that make whole ones; what is over has to be zero, so that one key has one text. */
function unbase32(letters) {
  const out = [];
  let [held, bits] = [0, 0];
  for (const letter of letters) {
    held = ((held & 255) << 5) | LETTERS.indexOf(letter);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((held >> bits) & 255);
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? Uint8Array.from(out) : null;
}

const checkOf = async (key) => base32(await sha256(utf8("OCMT backup key v1\0"), key)).slice(0, CHECK);

/** The 32 bytes as text: 14 groups of four. */
export async function backupText(key) {
  const letters = base32(key) + (await checkOf(key));
  return letters.match(/.{4}/g).join("-");
}

/** The 32 bytes of what somebody typed; null if it is no backup key, or mistyped. */
export async function backupKey(typed) {
  const bare = typed.replaceAll(/[\s-]/g, "");
  if (!/^[A-Za-z0-8]{56}$/.test(bare)) return null;
  const letters = bare.toUpperCase().replaceAll("0", "O").replaceAll("1", "I").replaceAll("8", "B");
  const key = unbase32(letters.slice(0, KEY));
  if (key === null || key.length !== 32) return null;
  return equal(utf8(await checkOf(key)), utf8(letters.slice(KEY))) ? key : null;
}
