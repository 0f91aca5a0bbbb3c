// What a container's workload prints, read in the browser: the vault is opened for the key of its user's channels and the host that it
// has pinned, and locked again; what the cell says is opened here, and is text whatever it is.

import { acceptChannel, beginChannel, LOGS } from "../core/channel.js";
import { need } from "../core/codec.js";
import { call, once, Unreachable } from "./call.js";
import { ends } from "./cell_ends.js";
import { $, busy, Told, warn } from "./shown.js";
import { message, text } from "./wire.js";

/** As much as is shown, in characters: the last of it. */
const MOST = 262_144;
/** Longest wait for the whole. */
const PATIENCE_MS = 60_000;
const LOCKED = 4423;
const [SAID_DONE, SAID_LOCKED] = [0, 3];

const form = $("log");
const { container } = form.dataset;

/** Reads a channel to its end, and hands on what comes. */
async function read(token, begun, hear) {
  const socket = new WebSocket(`wss://${location.host}/gateway/${container}`, ["ocmt.v1", `ocmt.token.${token}`]);
  socket.binaryType = "arraybuffer";
  let reading = null;
  const step = async (frame) => {
    if (reading === null) {
      const accepted = await acceptChannel(begun, frame);
      reading = accepted.reading;
      socket.send(accepted.confirm);
      return null;
    }
    const { said, ack } = await reading.take(frame);
    if (ack !== null) socket.send(ack);
    if (said?.data !== undefined) hear(said);
    return said?.closed ?? null;
  };
  const whole = new Promise((done, failed) => {
    let work = Promise.resolve();
    // one after the other: a record is opened before the next
    const then = (next) => (work = work.then(next).catch(failed));
    socket.addEventListener("open", () => socket.send(begun.hello));
    socket.addEventListener("message", ({ data }) =>
      then(async () => {
        const closed = await step(new Uint8Array(data));
        if (closed !== null) done(closed);
      }),
    );
    socket.addEventListener("close", ({ code }) =>
      then(() => {
        throw code === LOCKED ? new Told("locked") : new Unreachable();
      }),
    );
    setTimeout(() => failed(new Unreachable()), PATIENCE_MS);
  });
  try {
    return await whole;
  } finally {
    reading?.wipe();
    socket.close();
  }
}

const name = (mark) => `\\u{${mark.codePointAt(0).toString(16)}}`;

/** What moves a cursor, rings, colours or turns the direction of writing is shown by its number, and does nothing. */
const plain = (printed) => printed.replaceAll("\r\n", "\n").replace(/[^\P{C}\n\t]|[\u2028\u2029]/gu, name);

async function show() {
  const { cell, own } = await ends(form.dataset);
  let printed = "";
  try {
    const token = (await call("ContainerService/IssueGatewayToken", message(text(1, container), once()))).text(1);
    const decoders = [new TextDecoder(), new TextDecoder()];
    const hear = ({ lane, data }) => {
      printed = (printed + decoders[lane].decode(data, { stream: true })).slice(-MOST);
    };
    const reason = await read(token, await beginChannel(cell, cell.key, own, LOGS), hear);
    if (reason === SAID_LOCKED) throw new Told("locked");
    need(reason === SAID_DONE);
  } finally {
    own.fill(0);
  }
  if (printed === "") throw new Told("nothing");
  $("printed").textContent = plain(printed);
  $("shown").hidden = false;
  $("said").hidden = true;
  $("shown-title").focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(show);
});
warn();
