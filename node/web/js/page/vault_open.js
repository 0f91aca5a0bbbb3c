// The vault that is open in this page: opened by a form, and locked again on demand, when nobody does anything, when the page
// stays out of sight, and when it is left. Its keys are in this page's memory and nowhere else.

import { backupKey } from "../core/backup.js";
import { Refused } from "../core/codec.js";
import { BACKUP, PASSPHRASE } from "../core/slot.js";
import { passphraseBytes } from "../core/stretch.js";
import { csrf, Declined, UNAUTHENTICATED } from "./call.js";
import { identityOf, openBy, rest } from "./opening.js";
import { keepOwn, keepsOwn } from "./own.js";
import { isDue, settle } from "./rotations.js";
import { $, busy, say, Told, typed, warn } from "./shown.js";

const IDLE_MS = 5 * 60_000;
const HIDDEN_MS = 2 * 60_000;
/** So long the work at hand may go on first. */
const GRACE_MS = 30_000;
/** What ends by the clock is looked at so often. */
const TICK_MS = 1_000;
/** After these nothing that is shown can be relied on. */
const LOCKING = ["older", "rotated", "moved"];

const form = $("unlock");
const { tenant, user } = form.dataset;

let open = null;
let page = null;
let working = false;
/** Why it is to be locked as soon as the work at hand is done. */
let wanted = null;
let since = 0;
let next = null;
let touched = 0;
let hidden = null;

/** As a backup key if it is one, else as a passphrase. */
async function secretOf(text) {
  const key = await backupKey(text);
  if (key !== null) return { kind: BACKUP, secret: key };
  if (/^\s*([a-z0-9]{4}-){13}[a-z0-9]{4}\s*$/i.test(text)) throw new Told("mistyped");
  try {
    return { kind: PASSPHRASE, secret: passphraseBytes(text) };
  } catch (error) {
    throw error instanceof Refused ? new Told("passphrase") : error;
  }
}

/** Locks it; where work is under way, after that, or without it where it does not end. */
function lock(why) {
  if (working) {
    if (wanted === null) [wanted, since] = [why, Date.now()];
    if (Date.now() - since <= GRACE_MS) return;
  }
  shut(why);
}

/** Locks it at once: what is under way has no keys from then on, and writes nothing, since every write is signed at its end. */
function shut(why) {
  if (open === null) return;
  open.vault.close();
  open = null;
  const instead = page.locked();
  $("open").hidden = true;
  form.hidden = false;
  say(instead ?? why);
  $("passphrase").focus({ preventScroll: true });
}

/** Does some work with the open vault, and says what the work answers; nothing if it answers nothing. */
export function withOpen(work) {
  if (working || open === null) return;
  perform(async () => {
    const done = await work(open);
    if (done === undefined) $("said").hidden = true;
    else say(done);
  });
}

/** What is to have the focus when the work at hand is done: its buttons are off meanwhile, and lose it. */
export function focusAfter(element) {
  next = element;
}

/** Whether it is to be locked for what went wrong. */
function ends(error) {
  if (error instanceof Told && LOCKING.includes(error.name)) return error.name;
  return error instanceof Declined && error.code === UNAUTHENTICATED ? "session" : null;
}

async function perform(work) {
  working = true;
  const before = document.activeElement;
  let done = false;
  await busy(async () => {
    try {
      await work();
      done = true;
    } catch (error) {
      wanted ??= ends(error);
      throw error;
    }
  });
  working = false;
  if (next !== null || document.activeElement === document.body) (next ?? before)?.focus({ preventScroll: next === null });
  const why = wanted;
  [wanted, next] = [null, null];
  if (why !== null && open === null) say(why);
  else if (why !== null) lock(why);
  return done;
}

async function unlock() {
  const { kind, secret } = await secretOf(typed());
  const opened = await openBy(tenant, kind, secret);
  // the worker's memory has had the secret
  rest();
  try {
    keepOwn(user, await identityOf(opened.vault));
    settle(opened.id, opened.vault.seen, opened.vault.epoch);
    await page.opened(opened);
  } catch (error) {
    opened.vault.close();
    throw error;
  }
  open = opened;
  [touched, hidden] = [Date.now(), document.hidden ? Date.now() : null];
  form.hidden = true;
  $("open").hidden = false;
  $("said").hidden = true;
  $("due").hidden = !isDue(open.id, open.vault.epoch);
}

/** Long work has come on a step: whoever waits for it is there. */
export function goesOn() {
  touched = Date.now();
  if (hidden !== null) hidden = touched;
}

function tick() {
  page.tick?.();
  if (open === null) return;
  const now = Date.now();
  // signed out in another tab: what was kept at the unlock is forgotten, and a new form for signing in has a token of its own
  if (csrf() === "" || !keepsOwn(user)) lock("session");
  else if (now - touched > IDLE_MS) lock("idle");
  else if (hidden !== null && now - hidden > HIDDEN_MS) lock("idle");
}

/**
 * Begins: `opened` and `locked` show and forget what is of the page, `tick` is called each second. What `locked` answers is said
 * in place of the reason.
 */
export function begin(of) {
  page = of;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (working || open !== null) return;
    if (await perform(unlock)) $("title").focus({ preventScroll: true });
  });
  $("lock").addEventListener("click", () => lock("locked"));
  for (const kind of ["pointerdown", "keydown", "input"]) {
    document.addEventListener(kind, () => (touched = Date.now()), { passive: true });
  }
  document.addEventListener("visibilitychange", () => {
    hidden = document.hidden ? Date.now() : null;
    tick();
  });
  globalThis.addEventListener("pagehide", () => shut("locked"));
  setInterval(tick, TICK_MS);
  warn();
}
