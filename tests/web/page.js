// What the vectors' page runs in Chromium.

import { stretchWith } from "../../node/web/js/core/stretch.js";
import { argon2InWorker } from "../../node/web/js/core/worker.js";
import { golden } from "./golden.js";
import { published } from "./published.js";

const read = async (name) => (await fetch(`/vectors/${name}`)).json();

/** Whether the page itself may compile WebAssembly: the smallest module there is. */
async function compiles() {
  try {
    await WebAssembly.compile(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    return true;
  } catch {
    return false;
  }
}

globalThis.vectors = async () => {
  const argon2id = argon2InWorker();
  stretchWith(argon2id);
  const ran = { golden: await golden(read), published: await published(read, argon2id) };
  argon2id.stop();
  const cost = { memoryKib: 19_456, passes: 2, lanes: 1, salt: new Uint8Array(16) };
  const fails = (derive) => derive(new Uint8Array(8), cost).then(() => false, () => true);
  const strict = await import("/strict/node/web/js/core/worker.js");
  // neither leaves the page waiting
  const refused = { stopped: await fails(argon2id), blocked: await fails(strict.argon2InWorker()) };
  return { ...ran, ...refused, compiles: await compiles() };
};
