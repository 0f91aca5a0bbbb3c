// Giving what somebody asks for of one's vault. Who asks and the node name an entry by its number: the vault is opened here and
// says which it is, and its key is sealed to whoever asks. Nothing is sent before a person has compared whose key that is.

import { equal, need, unhex } from "../core/codec.js";
import { wordsOfPerson } from "../core/words.js";
import { call, once } from "./call.js";
import { openOwn, stored } from "./opening.js";
import { $, busy, LEAVING, say, typed, warn } from "./shown.js";
import { bytes, message, number, text } from "./wire.js";

const READ = "1";

const form = $("approve");
// a repeat after a lost answer is the same call
const again = once();
const { tenant, vault: id, request, entry, requester, program, permissions, lifetime } = form.dataset;
let made = null;

/** Of whoever asks, as the node has them: what they are worth is for a person to say. */
async function keysOfAsking() {
  if (program !== "") return { sealing: unhex(program) };
  const told = (await call("UserService/GetIdentityKey", message(text(1, requester)))).message(1);
  return { identity: told.bytes(2), sealing: told.bytes(3) };
}

/** Which entry it is, and, to read it, its key for whoever asks. The vault is locked again afterwards. */
async function opened(sealing) {
  const vault = await openOwn(tenant, typed());
  try {
    const told = await call("VaultService/GetEntry", message(text(1, id), bytes(2, unhex(entry))));
    const object = stored(told.message(1));
    const { name, value, version } = await vault.openEntry(object);
    value.fill(0);
    need(equal(await vault.entryId(name), unhex(entry)));
    const grant = permissions.split(" ").includes(READ) ? await vault.grant(object, sealing) : null;
    return { name, version, grant };
  } finally {
    vault.close();
  }
}

async function look() {
  const keys = await keysOfAsking();
  const found = await opened(keys.sealing);
  const words = program === "" ? await wordsOfPerson(keys) : [];
  made = found;
  $("name").textContent = found.name;
  if (program === "") $("words").textContent = words.join(" ");
  $("look").hidden = true;
  $("passphrase").required = false;
  $("give").hidden = false;
  $("said").hidden = true;
  $("give-title").focus();
}

async function give() {
  const { version, grant } = made;
  const one = grant === null ? null : message(bytes(1, unhex(entry)), number(2, version), bytes(3, grant));
  const ms = BigInt(lifetime);
  const lasts = message(number(1, ms / 1000n), number(2, (ms % 1000n) * 1_000_000n));
  const may = bytes(2, Uint8Array.from(permissions.split(" "), Number));
  const grants = one === null ? new Uint8Array() : bytes(4, one);
  await call("ShareService/ApproveCapability", message(text(1, request), may, bytes(3, lasts), grants, again));
  location.assign("/app/approvals");
  return LEAVING;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (made === null) {
    busy(look);
  } else if ($("heard").checked) {
    busy(give);
  } else {
    say("compare");
    $("heard").focus();
  }
});
warn();
