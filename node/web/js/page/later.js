// What a page loads when somebody wants it: its digests stand in the page, as those of all that it loads.

import { Unreachable } from "./call.js";
import { $ } from "./shown.js";

/** Once it is there to be imported. */
export async function later() {
  const links = [...$("later").content.cloneNode(true).children];
  const arrived = links.map((link) => new Promise((done, failed) => Object.assign(link, { onload: done, onerror: failed })));
  document.head.append(...links);
  await Promise.all(arrived).catch(() => {
    throw new Unreachable();
  });
}
