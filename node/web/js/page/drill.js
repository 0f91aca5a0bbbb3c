// Showing that one could still help: the parts are opened here, and nothing of them is sent.

import { unhex } from "../core/codec.js";
import { answerDrill, openUnits, wipeUnits } from "../core/guardian.js";
import { call, once } from "./call.js";
import { openOwn } from "./opening.js";
import { knownSet } from "./owner.js";
import { $, busy, LEAVING, typed } from "./shown.js";
import { bytes, message, text } from "./wire.js";

const form = $("drill");
const { tenant, guardianship, challenge, challengeId, set: signed, units: sealed } = form.dataset;

async function answer() {
  const set = await knownSet(guardianship, signed);
  const vault = await openOwn(tenant, typed());
  const { identity, sealing } = vault.keyring;
  const units = await openUnits(unhex(sealed), set, { identity, sealing });
  try {
    const answers = await answerDrill(unhex(challenge), units, BigInt(Date.now()));
    const all = answers.map((one) => bytes(3, one));
    const front = message(text(1, guardianship), text(2, challengeId), ...all);
    await call("RecoveryService/AnswerChallenge", message(front, once()));
  } finally {
    wipeUnits(units);
    vault.close();
  }
  location.assign("/guardian");
  return LEAVING;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(answer);
});
