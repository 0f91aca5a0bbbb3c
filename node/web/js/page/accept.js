// Saying yes to be a guardian: with the vault that one has, or with one that is made here and goes to paper.

import { wordsOfPerson } from "../core/words.js";
import { call, once } from "./call.js";
import { drawn, identityOf, madeHere, openOwn, publish } from "./opening.js";
import { pin } from "./owner.js";
import { $, busy, LEAVING, typed } from "./shown.js";
import { bytes, message, text } from "./wire.js";

const form = $("accept");
const { tenant, guardianship, owner, vault: known } = form.dataset;
let made = null;

async function make() {
  const passphrase = drawn();
  $("passphrase").textContent = passphrase;
  $("where").textContent = location.origin;
  const { vault, send } = await madeHere(tenant, passphrase);
  const keys = await identityOf(vault);
  $("words").textContent = (await wordsOfPerson(keys)).join(" ");
  made = { vault, send, keys, sent: false };
  $("said").hidden = true;
}

async function ready() {
  if (known !== "") {
    const vault = await openOwn(tenant, typed());
    return { vault, keys: await identityOf(vault) };
  }
  // a second try after a lost answer does not make a second vault
  if (!made.sent) await made.send();
  made.sent = true;
  return made;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(async () => {
    const { vault, keys } = await ready();
    await publish(keys);
    if (owner !== "") pin(guardianship, owner);
    const yes = message(text(1, guardianship), bytes(2, keys.identity), bytes(3, keys.sealing), once());
    await call("RecoveryService/AcceptGuardianship", yes);
    vault.close();
    location.assign("/guardian");
    return LEAVING;
  });
});

if (known === "") {
  $("print").addEventListener("click", () => globalThis.print());
  busy(make);
}
