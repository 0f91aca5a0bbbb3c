// Requests for one's own vault: the six words of each, out of its hash, as the device that asked and the guardians have them. The
// page says all else without them, also in a browser that cannot compute them.

import { unhex } from "../core/codec.js";
import { stretchWith } from "../core/stretch.js";
import { wordsOfCeremony } from "../core/words.js";
import { argon2InWorker } from "../core/worker.js";

async function tell() {
  const worker = argon2InWorker();
  stretchWith(worker);
  try {
    for (const place of document.querySelectorAll("[data-words]")) {
      const words = await wordsOfCeremony(unhex(place.dataset.words));
      place.querySelector(".words").textContent = words.join(" ");
      place.hidden = false;
    }
  } finally {
    worker.stop();
  }
}

tell().catch(() => {});
