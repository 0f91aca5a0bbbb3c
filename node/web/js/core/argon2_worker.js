// The worker that computes Argon2id. Its answer alone is to carry `wasm-unsafe-eval`; the page that starts it does not.

import { argon2id } from "./argon2.js";

self.addEventListener("message", async ({ data: { id, secret, cost } }) => {
  try {
    const key = await argon2id(secret, cost);
    self.postMessage({ id, key }, [key.buffer]);
  } catch {
    self.postMessage({ id, key: null });
  } finally {
    secret.fill(0);
  }
});
