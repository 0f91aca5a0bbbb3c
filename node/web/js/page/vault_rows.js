// The list of entries: a row for each, out of the page's own template, and the one value that is shown for a while.

import { $ } from "./shown.js";
import { focusAfter } from "./vault_open.js";
import { at, rowOf } from "./vault_parts.js";

/** As many rows as are drawn; the search finds the others. */
const MOST_ROWS = 200;
const SHOWN_MS = 30_000;

let value = null;

const rowAt = (key) => $("entries").querySelector(`[data-key="${key}"]`);

const button = (row, act) => row.querySelector(`[data-act="${act}"]`);

/** Shows a value in its row; null hides it. */
function uncover(row, text) {
  if (row === null) return;
  row.querySelector("[data-value]").textContent = text ?? "";
  row.querySelector("[data-shown]").hidden = text === null;
  button(row, "show").hidden = text !== null;
}

/** The value that is shown. */
export const shown = {
  put({ key, version, text }) {
    shown.hide();
    value = { key, version, text, until: Date.now() + SHOWN_MS };
    const row = rowAt(key);
    uncover(row, text);
    if (row !== null) focusAfter(button(row, "hide"));
  },

  hide() {
    if (value !== null) uncover(rowAt(value.key), null);
    value = null;
  },

  tick() {
    if (value !== null && Date.now() > value.until) shown.hide();
  },
};

function row(entry, acts) {
  const written = at(entry.writtenAt);
  const times = [entry.expiresAt, entry.remindAt];
  const [ends, reminds] = times.map((time) => (time === null ? null : at(time)));
  const one = rowOf("entry", entry.name, { written, ends, reminds });
  const now = BigInt(Date.now());
  one.querySelector("[data-due]").hidden = !times.some((time) => time !== null && time <= now);
  one.dataset.key = entry.key;
  for (const act of ["show", "copy", "change", "remove"]) button(one, act).addEventListener("click", () => acts[act](entry));
  button(one, "hide").addEventListener("click", () => {
    shown.hide();
    button(one, "show").focus();
  });
  if (value?.key === entry.key && value.version === entry.version) uncover(one, value.text);
  return one;
}

/** Draws the entries whose names have this in them. Of a vault that is `damaged` nobody knows that there is none. */
export function draw(entries, search, damaged, acts) {
  const wanted = search.trim().toLowerCase();
  const found = entries.filter(({ name }) => name.toLowerCase().includes(wanted));
  $("entries").replaceChildren(...found.slice(0, MOST_ROWS).map((entry) => row(entry, acts)));
  $("none").hidden = entries.length > 0 || damaged;
  $("not_found").hidden = entries.length === 0 || found.length > 0;
  $("more").hidden = found.length <= MOST_ROWS;
}

/** Forgets all that stands there. */
export function clear() {
  value = null;
  $("entries").replaceChildren();
}
