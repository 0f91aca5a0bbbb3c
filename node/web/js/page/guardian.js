// All that waits for a guardian: the page shows one's own words.

import { unhex } from "../core/codec.js";
import { wordsOfPerson } from "../core/words.js";
import { compute } from "./opening.js";
import { $ } from "./shown.js";

const words = $("words");
if (words !== null) {
  compute();
  const { identity, sealing } = words.dataset;
  const keys = { identity: unhex(identity), sealing: unhex(sealing) };
  wordsOfPerson(keys).then((six) => (words.textContent = six.join(" ")), () => (words.textContent = "-"));
}
