// The two ends of a channel to one's own container: the cell, as its host states it and the vault has pinned it, and the key of one's
// channels, for which the vault is opened and locked again.

import { verifyCell } from "../core/cell.js";
import { equal, idBytes, unhex } from "../core/codec.js";
import { openOwn } from "./opening.js";
import { Told, typed } from "./shown.js";

/** The cell, and the secret of the user's channel key, of what the form was given by the node. */
export async function ends({ tenant, container, statement, node, nodeKey }) {
  const expected = { tenant: idBytes(tenant), container: idBytes(container), node: unhex(node) };
  const cell = await verifyCell(unhex(statement), unhex(nodeKey), expected, BigInt(Date.now())).catch(() => {
    throw new Told("not_held");
  });
  if (cell.unlock === null) throw new Told("locked");
  const vault = await openOwn(tenant, typed());
  try {
    const pinned = vault.hostOf(cell.container);
    if (pinned === null || !equal(pinned, cell.node)) throw new Told("other_host");
    return { cell, own: vault.keyring.channel.slice() };
  } finally {
    vault.close();
  }
}
