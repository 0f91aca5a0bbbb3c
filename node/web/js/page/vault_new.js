// A vault for who has none: its passphrase is drawn here and goes to paper, and is asked for from there before the vault is made.

import { drawn, isOnPaper } from "./drawn.js";
import { madeHere, publish } from "./making.js";
import { identityOf } from "./opening.js";
import { $, busy, LEAVING, say, warn } from "./shown.js";

const form = $("make");
const { tenant } = form.dataset;
const passphrase = drawn();
let made = null;

/** The vault that was made stays for a second try. */
async function make() {
  if (made === null) {
    const { vault, send } = await madeHere(tenant, passphrase);
    made = { vault, send, keys: await identityOf(vault), sent: false };
  }
  if (!made.sent) await made.send();
  made.sent = true;
  await publish(made.keys);
  made.vault.close();
  // it is opened there, with what stands on paper
  location.reload();
  return LEAVING;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (isOnPaper(passphrase, $("check").value)) {
    busy(make);
    return;
  }
  say("card");
  $("check").focus();
});

$("passphrase").textContent = passphrase;
$("where").textContent = location.origin;
$("print").addEventListener("click", () => globalThis.print());
warn();
