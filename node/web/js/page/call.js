// Calls of the node by gRPC-Web, in the session of the cookie: no script sees its token. What changes something repeats the
// cookie against forged requests.

import { concat, need, u8, u32 } from "../core/codec.js";
import { random } from "../core/keys.js";
import { bytes, read } from "./wire.js";

/** The node said no. `reason` is a stable word, `message` a sentence in English. */
export class Declined extends Error {
  constructor(code, message, reason) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** Nobody answered, or not as a node does. */
export class Unreachable extends Error {}

/** So long an answer may take, which is longer than a node takes for any of these. */
const LONGEST_MS = 90_000;

export const NOT_FOUND = 5;
export const EXHAUSTED = 8;
export const UNAUTHENTICATED = 16;

const cookie = (name) =>
  document.cookie
    .split("; ")
    .find((one) => one.startsWith(`${name}=`))
    ?.slice(name.length + 1) ?? "";

/** What shows that a page of this session asks. */
export const csrf = () => cookie("__Host-ocmt-csrf");

/** Of google.rpc.Status, the reason of its ErrorInfo. */
function reasonIn(details) {
  try {
    const binary = Uint8Array.from(atob(details.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    for (const any of read(binary).all(3)) {
      const detail = read(any);
      if (detail.text(1).endsWith("/google.rpc.ErrorInfo")) return read(detail.bytes(2)).text(1);
    }
  } catch {
    // without its reason the error is still one
  }
  return "";
}

function check(said) {
  const code = said("grpc-status");
  if (code === null || code === undefined) throw new Unreachable();
  if (code === "0") return;
  let message = said("grpc-message") ?? "";
  try {
    message = decodeURIComponent(message);
  } catch {
    // as it came
  }
  throw new Declined(Number(code), message, reasonIn(said("grpc-status-details-bin") ?? ""));
}

function frames(body) {
  const found = { message: null, trailers: new Map() };
  let at = 0;
  while (at < body.length) {
    need(body.length - at >= 5);
    const length = new DataView(body.buffer, body.byteOffset + at + 1, 4).getUint32(0);
    need(length <= body.length - at - 5);
    const part = body.slice(at + 5, at + 5 + length);
    if (body[at] === 0) {
      found.message = part;
    } else if (body[at] === 128) {
      for (const line of new TextDecoder().decode(part).split("\r\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) found.trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
      }
    } else {
      need(false);
    }
    at += 5 + length;
  }
  return found;
}

function framed(body) {
  try {
    return frames(body);
  } catch {
    throw new Unreachable();
  }
}

/** One call: `method` is `RecoveryService/ApproveCeremony`, with the bytes of its message; of those that take a stream, of each. */
export async function call(method, ...messages) {
  let answer;
  let body;
  try {
    answer = await fetch(`/ocmt.v1.${method}`, {
      method: "POST",
      headers: {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        "x-csrf-token": csrf(),
      },
      body: concat(...messages.map((message) => concat(u8(0), u32(message.length), message))),
      redirect: "error",
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    body = new Uint8Array(await answer.arrayBuffer());
  } catch {
    throw new Unreachable();
  }
  if (answer.headers.has("grpc-status")) check((name) => answer.headers.get(name));
  // a proxy's own page is no answer of a node
  const kind = answer.headers.get("content-type") ?? "";
  if (!kind.startsWith("application/grpc-web")) throw new Unreachable();
  const found = framed(body);
  if (found.trailers.size > 0 || found.message === null) check((name) => found.trailers.get(name));
  return read(found.message ?? new Uint8Array());
}

/** Field 15 of what changes something: a repeat has no second effect. */
export const once = () => bytes(15, random(16));
