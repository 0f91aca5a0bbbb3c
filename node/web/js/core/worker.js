// Argon2id in a worker: the page stays awake meanwhile, and needs no WebAssembly itself.

/** What `stretchWith` takes. The worker ends with the page, or with `stop`. */
export function argon2InWorker() {
  const worker = new Worker(new URL("./argon2_worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let next = 0;
  let failed = false;
  const broken = () => new Error("Argon2id does not run in this browser");
  // a script or WebAssembly that is refused is told once, perhaps before anybody has asked for anything
  const fail = () => {
    failed = true;
    for (const { reject } of waiting.values()) reject(broken());
    waiting.clear();
  };
  worker.addEventListener("error", fail);
  worker.addEventListener("messageerror", fail);
  worker.addEventListener("message", ({ data: { id, key } }) => {
    const { resolve, reject } = waiting.get(id) ?? {};
    waiting.delete(id);
    if (key === null) reject?.(new Error("Argon2id failed: is there enough memory?"));
    else resolve?.(key);
  });
  const derive = (secret, cost) =>
    new Promise((resolve, reject) => {
      if (failed) return reject(broken());
      const id = next++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, secret, cost });
    });
  return Object.assign(derive, { stop: () => { worker.terminate(); fail(); } });
}
