// Deciding on a request for recovery. Everything is checked here before anything is opened: the owner's signature under the
// key that this browser knows, the request against what the owner has signed, one's own parts against both.

import { approve, checkCeremony, lostMailbox, readCeremony, RECOVERY, signStop, verifyRelease } from "../core/ceremony.js";
import { hex, need, unhex } from "../core/codec.js";
import { openUnits, seatOf, wipeUnits } from "../core/guardian.js";
import { wordsOfCeremony } from "../core/words.js";
import { call, once } from "./call.js";
import { compute, identityOf, openOwn } from "./opening.js";
import { knownSet } from "./owner.js";
import { $, busy, failed, LEAVING, say, Told, typed, warn } from "./shown.js";
import { bytes, message } from "./wire.js";

const form = $("request");
const { tenant, guardianship, ceremony: id, params, set: signed, units: sealed, statement, node, nodeKey } = form.dataset;
/** Where the owner is reached who has lost the mailbox too; empty of any other. */
const { lost } = form.dataset;
const METHODS = { deny: "DenyCeremony", doubt: "VoiceDoubt", lock: "LockCeremony", override: "OverrideStop" };

async function ceremony() {
  const read = await readCeremony(unhex(params));
  // an unlock has no delay: nobody approves one as a recovery
  need(read.purpose === RECOVERY && hex(read.hash) === id);
  return read;
}

const agrees = (act) => act === "approve" || act === "override";

/** The set that the owner has signed, if the request is of it. */
async function checked(request) {
  if (BigInt(Date.now()) >= request.expiresAt) throw new Told("late");
  const set = await knownSet(guardianship, signed);
  checkCeremony(request, set);
  // whoever is known by guardians alone waits for the longest
  need(lost === "" || request.delay >= set.delays.lock);
  return set;
}

async function agree(vault, request, set) {
  const release = await verifyRelease(unhex(statement), unhex(node), unhex(nodeKey), request.hash);
  const { identity, sealing } = vault.keyring;
  const units = await openUnits(unhex(sealed), set, { identity, sealing });
  try {
    const approval = await approve(request, set, release, { identity, sealing }, units, BigInt(Date.now()));
    await call("RecoveryService/ApproveCeremony", message(bytes(1, request.hash), bytes(2, approval), once()));
  } finally {
    wipeUnits(units);
  }
}

async function speak(act, vault, request, set) {
  const seed = vault.keyring.identity;
  const { identity } = set === null ? await identityOf(vault) : await seatOf(set, seed);
  const now = BigInt(Date.now());
  const over = act === "override";
  need(!over || request.overrides !== null || lost !== "");
  const about = over ? (request.overrides ?? (await lostMailbox(lost))) : request.hash;
  const said = await signStop(act, about, now, seed, identity, over ? request.hash : null);
  await call(`RecoveryService/${METHODS[act]}`, message(bytes(1, request.hash), bytes(2, said), once()));
}

async function decide(act) {
  const request = await ceremony();
  // refusing, doubting and locking ask nothing of the set: that it does not hold may be what is wrong
  const set = agrees(act) ? await checked(request) : null;
  const vault = await openOwn(tenant, typed());
  try {
    await (act === "approve" ? agree(vault, request, set) : speak(act, vault, request, set));
  } finally {
    vault.close();
  }
  location.reload();
  return LEAVING;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const act = event.submitter?.dataset.act;
  if (!agrees(act)) return;
  if (!$("heard").checked) {
    say("heard");
    $("heard").focus();
    return;
  }
  busy(() => decide(act));
});

// no buttons of the form: Enter in the passphrase says nothing against anybody
for (const button of form.querySelectorAll("button[type=button]")) {
  button.addEventListener("click", () => form.reportValidity() && busy(() => decide(button.dataset.act)));
}

warn();
if ($("words") !== null) {
  ceremony()
    .then(({ hash }) => {
      compute();
      return wordsOfCeremony(hash);
    })
    .then((six) => ($("words").textContent = six.join(" ")), failed);
}
