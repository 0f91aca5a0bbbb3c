// Six words, for two people to compare by telephone: docs/formats-cell-and-recovery.md, "Words".

import { concat, utf8 } from "./codec.js";
import { ENGLISH } from "./english.js";
import { DEFAULT, stretched } from "./stretch.js";

const WORDS = 6;

async function spelled(salt, what) {
  const bits = await stretched(what, { ...DEFAULT, salt: utf8(salt) });
  return Array.from({ length: WORDS }, (_, word) => {
    let index = 0;
    for (let bit = word * 11; bit < word * 11 + 11; bit += 1) {
      index = index * 2 + ((bits[bit >> 3] >> (7 - (bit & 7))) & 1);
    }
    return ENGLISH[index];
  });
}

export const wordsOfCeremony = (hash) => spelled("OCMT ceremony w1", hash);
export const wordsOfPerson = ({ identity, sealing }) => spelled("OCMT identity w1", concat(identity, sealing));
