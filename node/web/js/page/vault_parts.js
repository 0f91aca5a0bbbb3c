// Rows of lists, out of the templates that a page has for them, and times as people read them.

import { $ } from "./shown.js";

const put = (words, what) => words.replace("{}", () => what);

/** A time as the page's language writes it. */
export function at(milliseconds) {
  try {
    const how = { dateStyle: "medium", timeStyle: "short" };
    return new Intl.DateTimeFormat(document.documentElement.lang, how).format(new Date(Number(milliseconds)));
  } catch {
    return "?";
  }
}

/** A row of a list out of the template of this name; what it says of `what` it says by `data-put`. */
export function rowOf(template, title, what) {
  const row = $(template).content.cloneNode(true).firstElementChild;
  row.querySelector("h3").prepend(title);
  for (const part of row.querySelectorAll("[data-put]")) {
    const given = what[part.dataset.put];
    part.hidden = given === null;
    part.textContent = put(part.textContent, given);
  }
  for (const button of row.querySelectorAll("button, summary")) {
    // many say the same: which of them it is stands behind it
    button.setAttribute("aria-label", `${button.textContent}: ${title}`);
  }
  return row;
}
