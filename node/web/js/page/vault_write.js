// Changes of a vault that is open in this page, and what other devices and tabs change meanwhile.

import { Refused } from "../core/codec.js";
import { RolledBack } from "../core/vault.js";
import { followed } from "../core/vault_change.js";
import { call, Declined, NOT_FOUND, once, Unreachable } from "./call.js";
import { counterOf, leaves, READS, saw, seenOf } from "./opening.js";
import { Told } from "./shown.js";
import { message, text } from "./wire.js";

/** What the node has now: its counter and its signed manifest. */
async function now({ id, vault }) {
  const told = await call("VaultService/GetVault", message(text(1, id)));
  const manifest = told.bytes(2);
  // a rotation has given it other keys
  if (told.message(1).number(4) !== BigInt(vault.epoch)) throw new Told("rotated");
  return { counter: counterOf(manifest), manifest };
}

/** Brings an open vault to what another device or tab has written meanwhile, checked as at its opening. */
export async function follow(open) {
  const { id, vault } = open;
  for (let tries = 0; tries < READS; tries += 1) {
    // read before the node is asked: another tab may write meanwhile
    const seen = seenOf(id) ?? vault.seen;
    const { counter, manifest } = await now(open);
    const page = await leaves(id);
    if (page === null || page.counter !== counter) continue;
    try {
      vault.apply(await followed(vault, { manifest, leaves: page.found }, seen));
    } catch (error) {
      throw error instanceof RolledBack ? new Told("older") : error;
    }
    saw(id, vault.seen);
    return;
  }
  throw new Told("changing");
}

/**
 * Sends a change; once more where the answer was lost, as the same call. `parts` are the fields between the vault's id and the
 * idempotency key. Where somebody else wrote first nothing was written, and the vault is what it is then.
 */
export async function commit(open, method, changed, parts) {
  const { id, vault } = open;
  const request = message(text(1, id), ...parts, once());
  const send = () => call(`VaultService/${method}`, request);
  try {
    await send().catch((error) => {
      if (error instanceof Unreachable) return send();
      throw error;
    });
  } catch (error) {
    if (!(error instanceof Declined) || (await now(open)).counter === vault.seen.counter) throw error;
    await follow(open);
    throw new Told("conflict");
  }
  vault.apply(changed);
  saw(id, vault.seen);
}

/** What the node answers for this state of the vault; if it has another by now, that is followed and it is asked again. */
export async function inStep(open, ask) {
  for (let tries = 0; tries < READS; tries += 1) {
    try {
      const { counter, answer } = await ask();
      if (counter === open.vault.seen.counter) return answer;
    } catch (error) {
      if (!(error instanceof Declined) || (await now(open)).counter === open.vault.seen.counter) {
        // that something is not there which the vault proves is damage
        throw error instanceof Declined && error.code === NOT_FOUND ? new Refused() : error;
      }
    }
    await follow(open);
  }
  throw new Told("changing");
}
