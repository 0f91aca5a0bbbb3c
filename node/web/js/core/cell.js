// What a host states of a cell's key: docs/formats-cell-and-recovery.md, "A cell's key".

import { equal, need, Reader } from "./codec.js";
import { verify } from "./keys.js";

const CELL_KEY = 0x20;

/**
 * Verifies a statement under the key of the host's certificate, and holds it against what the caller knows of the cell: tenant,
 * container and host, as bytes. `now` is milliseconds, a BigInt. `unlock` of the answer is null while the cell is locked.
 */
export async function verifyCell(statement, nodeKey, expected, now) {
  const reader = new Reader(statement, CELL_KEY);
  const cell = { tenant: reader.take(16), container: reader.take(16), generation: reader.u64() };
  Object.assign(cell, { bootNonce: reader.take(32), expires: reader.i64(), key: reader.take(32) });
  cell.unlock = reader.option(() => reader.take(16));
  cell.node = reader.take(16);
  reader.take(64);
  reader.done();
  await verify(nodeKey, "cell key", statement.slice(0, -64), statement.slice(-64));
  need(equal(cell.tenant, expected.tenant) && equal(cell.container, expected.container));
  need(equal(cell.node, expected.node) && now < cell.expires);
  return cell;
}
