// Whether this browser has all that keys need. Asked before anything else: a signature that cannot be verified is refused like a
// wrong one, and what is missing would show as a wrong passphrase, or as something that does not hold.

import { areHalves, newSigning, random, x25519Public } from "../core/keys.js";

async function tried() {
  // loud where it is missing
  await x25519Public(random(32));
  const { seed, public: key } = await newSigning();
  return (await areHalves(seed, key)) && "Worker" in globalThis && "WebAssembly" in globalThis;
}

let known = null;

/** Ed25519, X25519, WebAssembly and workers. */
export const able = () => (known ??= tried().catch(() => false));
