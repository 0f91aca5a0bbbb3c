// Showing that one could still help: the parts are opened here, and nothing of them is sent.

import { Reader, unhex } from "../core/codec.js";
import { answerDrill, openUnits, seatOf, wipeUnits } from "../core/guardian.js";
import { x25519Public } from "../core/keys.js";
import { call, once } from "./call.js";
import { openOwn } from "./opening.js";
import { keepOwn } from "./own.js";
import { knownSet } from "./owner.js";
import { $, busy, LEAVING, Told, typed, warn } from "./shown.js";
import { bytes, message, text } from "./wire.js";

const form = $("drill");
const CHALLENGE = 0x37;
const { tenant, user, guardianship, challenge, challengeId, set: signed, units: sealed } = form.dataset;

function ends() {
  const reader = new Reader(unhex(challenge), CHALLENGE);
  reader.take(48);
  return reader.i64();
}

async function answer() {
  if (BigInt(Date.now()) >= ends()) throw new Told("late");
  const set = await knownSet(guardianship, signed);
  const vault = await openOwn(tenant, typed());
  let units = [];
  try {
    const { identity, sealing } = vault.keyring;
    const seat = await seatOf(set, identity);
    keepOwn(user, { identity: seat.identity, sealing: await x25519Public(sealing) });
    units = await openUnits(unhex(sealed), set, { identity, sealing });
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
warn();
