// Acts that want a proof of presence: shown by the vault that is open here. The answer gives the session another token, in the
// cookie that no script sees.

import { hex } from "../core/codec.js";
import { PASSPHRASE } from "../core/slot.js";
import { csrf, Declined, Unreachable } from "./call.js";
import { handedOut } from "./opening.js";
import { Told } from "./shown.js";

/** What such a proof is of: docs/formats.md, "Proof to a node". */
const STEP_UP = 2;

async function stepUp({ id, vault }) {
  const handout = await handedOut(PASSPHRASE);
  const signature = hex(await vault.prove(STEP_UP, handout.bytes(7)));
  const body = new URLSearchParams({ vault: id, handout: handout.text(6), signature, csrf: csrf() });
  const answer = await fetch("/app/vault/step-up", { method: "POST", body, redirect: "error" }).catch(() => {
    throw new Unreachable();
  });
  if (answer.status === 429) throw new Told("wait");
  // an account with a second factor shows that one, at its next sign-in
  if (answer.status !== 204) throw new Told("fresh");
}

/** Does it; where the sign-in is no longer fresh, once more after the proof. */
export async function present(open, act) {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Declined) || error.reason !== "STEP_UP_REQUIRED") throw error;
  }
  await stepUp(open);
  return act();
}
