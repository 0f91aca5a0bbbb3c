// Saying yes to be a guardian: with the vault that one has, or with one that is made here and goes to paper.

import { wordsOfPerson } from "../core/words.js";
import { call, once } from "./call.js";
import { drawn, isOnPaper } from "./drawn.js";
import { madeHere, publish } from "./making.js";
import { identityOf, openOwn } from "./opening.js";
import { keepOwn } from "./own.js";
import { pin } from "./owner.js";
import { $, busy, LEAVING, say, typed, warn } from "./shown.js";
import { bytes, message, text } from "./wire.js";

const form = $("accept");
// a repeat after a lost answer is the same call
const again = once();
const { tenant, user, guardianship, owner, vault: known } = form.dataset;
let made = null;

async function make() {
  const passphrase = drawn();
  $("passphrase").textContent = passphrase;
  $("where").textContent = location.origin;
  const { vault, send } = await madeHere(tenant, passphrase);
  const keys = await identityOf(vault);
  $("words").textContent = (await wordsOfPerson(keys)).join(" ");
  made = { vault, send, keys, sent: false, passphrase };
  $("said").hidden = true;
}

async function accept(keys) {
  await publish(keys);
  keepOwn(user, keys);
  if (owner !== "") pin(guardianship, owner);
  const yes = message(text(1, guardianship), bytes(2, keys.identity), bytes(3, keys.sealing), again);
  await call("RecoveryService/AcceptGuardianship", yes);
}

async function acceptWithOpened() {
  const vault = await openOwn(tenant, typed());
  try {
    await accept(await identityOf(vault));
  } finally {
    vault.close();
  }
}

/** The vault that was made stays for a second try. */
async function acceptWithMade() {
  if (!made.sent) await made.send();
  made.sent = true;
  await accept(made.keys);
  made.vault.close();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (known === "" && !isOnPaper(made.passphrase, $("check").value)) {
    say("card");
    $("check").focus();
    return;
  }
  busy(async () => {
    await (known === "" ? acceptWithMade() : acceptWithOpened());
    location.assign("/guardian");
    return LEAVING;
  });
});

if (known === "") {
  $("print").addEventListener("click", () => globalThis.print());
  busy(make);
} else {
  warn();
}
