// The vectors in Chromium: `chromium.js FOLDER` serves the modules as a page's origin would, under the policy of the node's
// edge, and answers with what ran. Argon2id runs in its worker, whose answer alone may compile WebAssembly: that
// exception is made here, for no node serves the worker yet.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import { withChromium } from "./driver.js";

const TREE = fileURLToPath(new URL("../..", import.meta.url));
const EDGE = await readFile(`${TREE}/node/src/edge/headers.rs`, "utf8");
/** The edge's own policy, out of its source: what is allowed here and not there would prove nothing. */
const POLICY = EDGE.match(/const CSP: &str = "([^"]+)"/)[1].replace(/\\\n\s*/g, "");
const TYPES = { html: "text/html", js: "text/javascript", json: "application/json" };

const PAGE = `<!doctype html><html lang="en"><title>Vectors</title><script type="module" src="/tests/web/page.js"></script></html>`;

async function answer(path) {
  if (path === "/") return ["html", PAGE];
  const [, name] = path.match(/^\/(?:strict\/)?((?:node\/web|tests\/web|vectors)\/[a-z0-9_/-]+\.(?:js|json))$/) ?? [];
  if (name === undefined) return null;
  const file = name.startsWith("vectors/") ? `${process.argv[2]}/${name.slice(8)}` : `${TREE}/${name}`;
  return [name.split(".").at(-1), await readFile(file)];
}

const server = createServer(async (request, response) => {
  const found = await answer(request.url).catch(() => null);
  // browsers ask for it unasked
  if (request.url === "/favicon.ico") return response.writeHead(204).end();
  if (found === null) return response.writeHead(404).end();
  const [kind, body] = found;
  // under /strict/ the worker is served as all else is
  const worker = request.url === "/node/web/js/core/argon2_worker.js";
  const policy = worker ? POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'") : POLICY;
  response.writeHead(200, {
    "content-type": `${TYPES[kind]}; charset=utf-8`,
    "content-security-policy": policy,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

try {
  const told = await withChromium(async (page) => {
    await page.go(`http://127.0.0.1:${server.address().port}/`);
    const answer = await page.run(
      "const done = arguments[arguments.length - 1];" +
        "const started = () => globalThis.vectors ? globalThis.vectors().then(done, (e) => done({ error: String(e.stack) }))" +
        " : performance.now() < 60_000 ? setTimeout(started, 20) : done({ error: 'no modules came' }); started();",
    );
    const complaints = (await page.log()).map(({ message }) => message);
    return { ...answer, complaints };
  });
  process.stdout.write(JSON.stringify(told));
} finally {
  server.closeAllConnections?.();
  server.close();
}
