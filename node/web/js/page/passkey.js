// Passkeys: showing one signs in, or finishes signing in, by a form of the page, whose answer sets the cookie that no script
// sees; adding one is a call.

import { text as decoded } from "../core/codec.js";
import { random, sha256 } from "../core/keys.js";
import { call, once } from "./call.js";
import { $, busy, LEAVING } from "./shown.js";
import { bytes, message, text } from "./wire.js";

const base64url = (secret) =>
  btoa(String.fromCharCode(...secret)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const offered = (json) => {
  const options = JSON.parse(decoded(json));
  return options.publicKey ?? options;
};

const inJson = (credential) => JSON.stringify(credential.toJSON());

async function show(form) {
  const secret = random(32);
  const asked = await call("AuthService/BeginPasskeyAssertion", message(bytes(1, await sha256(secret)), once()));
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(offered(asked.bytes(2)));
  const credential = await navigator.credentials.get({ publicKey });
  form.elements.assertion.value = asked.text(1);
  form.elements.credential.value = inJson(credential);
  form.elements.secret.value = base64url(secret);
  form.submit();
  return LEAVING;
}

async function add(form) {
  const asked = await call("AuthService/BeginPasskeyRegistration", once());
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(offered(asked.bytes(2)));
  const credential = new TextEncoder().encode(inJson(await navigator.credentials.create({ publicKey })));
  const name = form.elements.name.value.trim();
  const made = message(text(1, asked.text(1)), bytes(2, credential), text(3, name), once());
  await call("AuthService/FinishPasskeyRegistration", made);
  location.reload();
  return LEAVING;
}

for (const [id, work] of [["show-passkey", show], ["add-passkey", add]]) {
  const form = $(id);
  if (form === null || globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON === undefined) continue;
  form.hidden = false;
  $("no-passkey")?.setAttribute("hidden", "");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(() => work(form), { keys: false });
  });
}
