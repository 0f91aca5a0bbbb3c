// All that waits for a guardian: the page shows one's own words, of the keys of one's own vault. Those that the node shows are
// held against them, and where the vault was not open in this browser there are no words: they are on the card.

import { wordsOfPerson } from "../core/words.js";
import { compute } from "./opening.js";
import { ownKeys } from "./own.js";
import { $ } from "./shown.js";

const words = $("words");

async function show(keys) {
  compute();
  words.textContent = (await wordsOfPerson(keys)).join(" ");
  $("words-card").hidden = true;
  $("words-own").hidden = false;
}

if (words !== null) {
  const own = ownKeys(words.dataset.user, words.dataset.keys.split(" "));
  if (own !== null && own.alike) {
    show(own.keys).catch(() => {});
  } else if (own !== null) {
    $("words-card").hidden = true;
    $("words-other").hidden = false;
  }
}
