// A passphrase that nobody chose: what people choose would have to be judged, and the judge (zxcvbn) is half a megabyte.

import { ENGLISH } from "../core/english.js";
import { random } from "../core/keys.js";

/** Six words of 2,048: 66 bits, of chance alone. They go to paper. */
const WORDS = 6;

export function drawn() {
  const picked = new Uint16Array(random(WORDS * 2).buffer);
  return Array.from(picked, (one) => ENGLISH[one & 2_047]).join(" ");
}

/** Whether somebody wrote the third and the sixth word, as from paper: a page that was loaded again has drawn others. */
export function isOnPaper(passphrase, typed) {
  const six = passphrase.split(" ");
  return typed.trim().toLowerCase().split(/\s+/).join(" ") === `${six[2]} ${six[5]}`;
}
