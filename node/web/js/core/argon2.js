// Argon2id by hash-wasm (vendored: node/web/vendor/hash-wasm). Alone in its file, since it alone needs WebAssembly.

import "../../vendor/hash-wasm/argon2.js";

export async function argon2id(secret, { memoryKib, passes, lanes, salt }) {
  return globalThis.hashwasm.argon2id({
    password: secret,
    salt,
    memorySize: memoryKib,
    iterations: passes,
    parallelism: lanes,
    hashLength: 32,
    outputType: "binary",
  });
}
