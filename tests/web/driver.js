// Chromium by WebDriver (W3C), as much of it as the tests need: Node's own fetch, no package.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions",
];

async function startDriver(folder) {
  const env = { ...process.env, TMPDIR: folder };
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "inherit"], env });
  driver.stdout.setEncoding("utf8");
  let said = "";
  for await (const part of driver.stdout) {
    said += part;
    const port = said.match(/started successfully on port (\d+)/)?.[1];
    if (port) return { driver, base: `http://127.0.0.1:${port}` };
  }
  throw new Error("chromedriver did not start: tests/scripts/install.sh test");
}

/**
 * What Chromium says of all that a change of the machine's network cut off, where bridges of containers come and go beside it, and its
 * driver of a browser that did not come up.
 */
const PASSING = ["net::ERR_NETWORK_CHANGED", "session not created"];

/**
 * Starts a Chromium of its own, runs `work` with it, and ends it whatever comes; all of it anew after what passes. `work` answers
 * with what the page complained of.
 */
export async function withChromium(work) {
  for (let tries = 1; ; tries += 1) {
    const told = await inChromium(work).catch((error) => ({ error, complaints: [error.message] }));
    if (tries < 3 && told.complaints.some((one) => PASSING.some((what) => one.includes(what)))) continue;
    if (told.error instanceof Error) throw told.error;
    return told;
  }
}

async function inChromium(work) {
  // the browser's own temporary folders too, which it leaves when it is killed
  const folder = await mkdtemp(join(tmpdir(), "ocmt-chromium-"));
  try {
    return await drive(folder, work);
  } finally {
    // what is left of the browser writes for a moment more
    await rm(folder, { recursive: true, force: true, maxRetries: 20 });
  }
}

async function drive(folder, work) {
  const { driver, base } = await startDriver(folder);
  const ask = async (method, path, body) => {
    const sent = method === "POST" ? { body: JSON.stringify(body ?? {}) } : {};
    const { value } = await (await fetch(base + path, { method, ...sent })).json();
    if (value?.error) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  };
  let session = null;
  try {
    const options = { args: [...FLAGS, `--user-data-dir=${join(folder, "profile")}`] };
    const wanted = { "goog:chromeOptions": options, "goog:loggingPrefs": { browser: "ALL" } };
    ({ sessionId: session } = await ask("POST", "/session", { capabilities: { alwaysMatch: wanted } }));
    const at = `/session/${session}`;
    await ask("POST", `${at}/timeouts`, { script: 300_000 });
    return await work({
      go: (url) => ask("POST", `${at}/url`, { url }),
      /** Runs the body of a function in the page; its last argument is what to call with the answer. */
      run: (script, ...args) => ask("POST", `${at}/execute/async`, { script, args }),
      /** What the page has complained of since last asked, violations of its policy among it. */
      log: () => ask("POST", `${at}/se/log`, { type: "browser" }),
    });
  } finally {
    if (session !== null) await ask("DELETE", `/session/${session}`).catch(() => {});
    driver.kill();
    if (driver.exitCode === null && driver.signalCode === null) await once(driver, "exit");
  }
}
