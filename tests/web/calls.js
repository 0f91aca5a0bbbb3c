// How pages take answers that are none, and what they send again after one was lost: their modules in Node, with a node that
// this file plays.

import { concat, u32, u8, utf8 } from "../../node/web/js/core/codec.js";
import { argon2id } from "../../node/web/js/core/argon2.js";
import { call } from "../../node/web/js/page/call.js";
import { madeHere } from "../../node/web/js/page/making.js";
import { openOwn } from "../../node/web/js/page/opening.js";
import { keepOwn, ownKeys } from "../../node/web/js/page/own.js";
import { commit } from "../../node/web/js/page/vault_write.js";
import { read } from "../../node/web/js/page/wire.js";

const GRPC = "application/grpc-web+proto";
const TENANT = "0b0e6f0c-6e0f-4a53-9b1f-5b8f5a1c0d11";
const frame = (kind, body) => concat(u8(kind), u32(body.length), body);
const trailers = (code) => frame(128, utf8(`grpc-status: ${code}\r\n`));
const done = concat(frame(0, new Uint8Array()), trailers(0));

/** What a browser has and Node has not. */
function asBrowser() {
  const kept = new Map();
  globalThis.document = { cookie: "" };
  globalThis.localStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
  };
  globalThis.Worker = class {
    addEventListener(kind, listener) {
      if (kind === "message") this.listener = listener;
    }

    postMessage({ id, secret, cost }) {
      argon2id(secret, cost).then((key) => this.listener({ data: { id, key } }));
    }
  };
}

async function answered(kind, body, status = 200) {
  globalThis.fetch = async () => new Response(body, { status, headers: { "content-type": kind } });
  return call("AService/AMethod", new Uint8Array()).then(() => "taken", (error) => error.constructor.name);
}

/** The call that makes a vault, twice, since the first answer was lost. */
async function madeAgain() {
  const sent = [];
  globalThis.fetch = async (_, { body }) => {
    sent.push(read(body.slice(5)).bytes(15).join());
    if (sent.length === 1) throw new TypeError("the connection was lost");
    return new Response(done, { headers: { "content-type": GRPC } });
  };
  const { send } = await madeHere(TENANT, "tramway okapi lantern");
  const first = await send().then(() => "taken", (error) => error.constructor.name);
  await send();
  return { first, sent: sent.length, same: sent[0] !== "" && sent[0] === sent[1] };
}

/** A change whose answer was lost, once and twice: the same call again, and nothing counts as written without an answer. */
async function committedAgain() {
  const committed = async (losses) => {
    const keys = [];
    let applied = 0;
    globalThis.fetch = async (_, { body }) => {
      keys.push(read(body.slice(5)).bytes(15).join());
      if (keys.length <= losses) throw new TypeError("the connection was lost");
      return new Response(done, { headers: { "content-type": GRPC } });
    };
    const seen = { counter: 1n, manifestHash: new Uint8Array(32), verifyKey: new Uint8Array(32) };
    const vault = { seen, apply: () => (applied += 1) };
    const end = await commit({ id: TENANT, vault }, "PutEntry", {}, []).then(() => "written", (error) => error.constructor.name);
    return { end, applied, sent: keys.length, same: keys[0] !== "" && keys.every((key) => key === keys[0]) };
  };
  return { once: await committed(1), twice: await committed(2) };
}

/** A vault that another device changes all the time: the manifest is never that of the entries. */
async function changing() {
  const manifest = concat(utf8("OCMT"), u8(0x11), u8(1), new Uint8Array(8));
  const handout = concat(u8(0x22), u8(manifest.length), manifest);
  globalThis.fetch = async (method) => {
    const body = method.endsWith("GetKeySlots") ? handout : method.endsWith("ListEntries") ? Uint8Array.of(0x18, 7) : new Uint8Array();
    return new Response(concat(frame(0, body), trailers(0)), { headers: { "content-type": GRPC } });
  };
  return openOwn(TENANT, "tramway okapi lantern").then(() => "opened", (error) => error.name);
}

function words() {
  const keys = (one) => ({ identity: new Uint8Array(32).fill(one), sealing: new Uint8Array(32).fill(one) });
  const unknown = ownKeys("ada", ["00".repeat(64)]);
  keepOwn("ada", keys(1));
  const [same, other] = [ownKeys("ada", ["01".repeat(64)]), ownKeys("ada", ["01".repeat(64), "02".repeat(64)])];
  return { unknown, same: same.alike, other: other.alike, own: [...other.keys.sealing].every((one) => one === 1) };
}

export async function calls() {
  asBrowser();
  return {
    taken: await answered(GRPC, done),
    refused: await answered(GRPC, trailers(7)),
    proxy: await answered("text/html", "<html>502 Bad Gateway</html>", 502),
    called_so: await answered(GRPC, "<html>502 Bad Gateway</html>"),
    cut: await answered(GRPC, done.slice(0, 7)),
    made: await madeAgain(),
    committed: await committedAgain(),
    changing: await changing(),
    words: words(),
  };
}
