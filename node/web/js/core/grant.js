// A grant: the data key of one version of an object, for somebody who does not have the vault (docs/formats.md, "Entry grant").

import { concat, need, utf8 } from "./codec.js";
import { seal } from "./hpke.js";
import { sign } from "./keys.js";

/** `place` is tenant, vault, object and version; `giver` the seed of the giver's identity key. */
export async function makeGrant(place, dataKey, taker, giver) {
  need(taker.length === 32);
  const box = await seal(taker, utf8("OCMT entry grant v1"), place, dataKey);
  return concat(box, await sign(giver, "entry grant", concat(place, taker, box)));
}
