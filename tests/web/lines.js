// The terminal's line over connections that end: `line.js` in Node, with a gateway and a cell that this file plays.

import { beginChannel, terminalOf } from "../../node/web/js/core/channel.js";
import { concat, need, text, u32, u8, utf8 } from "../../node/web/js/core/codec.js";
import { Line, UNHEARD } from "../../node/web/js/page/line.js";
import { bytes, message, number } from "../../node/web/js/page/wire.js";
import { CellSide, parties } from "./cell_side.js";

const TOKEN = concat(u8(0x0a), u8(1), utf8("t"));
const framed = (kind, body) => concat(u8(kind), u32(body.length), body);
const until = async (holds) => {
  for (let tries = 0; !holds(); tries += 1) {
    if (tries > 2_000) throw new Error("it never came");
    await new Promise((on) => setTimeout(on, 2)); // why: what is waited for is asked again, and not for a time
  }
};

/** A gateway in front of one cell: each connection takes frames until it is cut. */
class Gateway {
  constructor(between) {
    this.between = between;
    Object.assign(this, { cell: null, heard: "", sizes: [], closed: false, connections: 0, socket: null, spoil: 0, refuses: false });
    const gateway = this;
    globalThis.WebSocket = class extends EventTarget {
      static OPEN = 1;
      readyState = 0;

      constructor(address, protocols) {
        super();
        need(address === "wss://node/gateway/c" && protocols.join() === "ocmt.v1,ocmt.token.t");
        Object.assign(gateway, { socket: this, connections: gateway.connections + 1 });
        this.work = Promise.resolve();
        queueMicrotask(() => {
          if (gateway.refuses) return this.close(1006);
          this.readyState = 1;
          return this.dispatchEvent(new Event("open"));
        });
      }

      send(frame) {
        if (this.readyState === 1) this.work = this.work.then(() => gateway.take(this, frame));
      }

      /** By the gateway with a code, and then what is under way is lost; by the page without one, after what it sent. */
      close(code) {
        if (this.readyState === 3) return;
        this.readyState = 3;
        this.lost = code !== undefined;
        queueMicrotask(() => this.dispatchEvent(Object.assign(new Event("close"), { code: code ?? 1005 })));
      }
    };
  }

  give(socket, frame) {
    const bytes = frame.slice();
    if (this.spoil > 0 && bytes[0] === 4) {
      this.spoil -= 1;
      bytes[bytes.length - 1] ^= 1;
    }
    if (socket.readyState === 1) socket.dispatchEvent(Object.assign(new Event("message"), { data: bytes.buffer }));
  }

  async take(socket, frame) {
    if (socket.lost) return;
    if (frame[0] === 1) {
      const { side, answer } = await CellSide.accept(this.between, frame);
      this.cell = side;
      return this.give(socket, answer);
    }
    const { said, send } = await this.cell.take(frame);
    for (const one of send) this.give(socket, one);
    if (said === null) return;
    if (said[0] === 0) this.heard += text(said.slice(2));
    if (said[0] === 3) this.sizes.push(said.slice(1).join());
    if (said[0] === 4) this.closed = true;
  }

  async say(...plaintext) {
    const frame = await this.cell.say(concat(...plaintext));
    if (this.socket !== null) this.give(this.socket, frame);
  }
}

/** What time it is, for the line; and what the node says of the container. */
let now = 0;
let container = new Uint8Array();

/** A line that is open, what it was told, and how it ends. */
async function opened() {
  const between = await parties();
  const gateway = new Gateway(between);
  const begun = await beginChannel(between.place, between.cellPublic, between.user, terminalOf(["/bin/sh", "-l"]));
  const told = { open: false, said: "", exit: null, cut: 0, mended: 0 };
  const line = new Line("c", begun, {
    opened: () => (told.open = true),
    said: ({ data, exit }) => {
      if (data !== undefined) told.said += text(data);
      if (exit !== undefined) told.exit = exit;
    },
    cut: () => (told.cut += 1),
    mended: () => (told.mended += 1),
  });
  const ends = line.run().then((reason) => reason, (error) => error.name);
  await until(() => told.open);
  return { gateway, line, told, ends };
}

const out = (words) => [u8(0), u8(0), utf8(words)];

/** Both ways, through cuts and damage: nothing is lost, nothing comes twice. */
async function resumed() {
  const { gateway, line, told, ends } = await opened();
  need(gateway.cell.stream[0] === 2 && gateway.cell.stream[1] === 1);
  await line.size(24, 80);
  await line.write(utf8("one "));
  await gateway.say(...out("1 "));
  await until(() => gateway.heard === "one " && told.said === "1 ");
  const first = gateway.socket;
  gateway.socket = null;
  // nothing was said for long, and the connection is lost only now
  now += 600_000;
  first.close(1012);
  // while nobody is connected both go on
  await line.write(utf8("two "));
  await gateway.say(...out("2 "));
  await until(() => told.mended === 1);
  await until(() => gateway.heard === "one two " && told.said === "1 2 ");
  // what was changed on the way is not taken, and comes again over another connection
  gateway.spoil = 1;
  await gateway.say(...out("3 "));
  await until(() => told.mended === 2 && told.said === "1 2 3 ");
  await line.write(utf8("three"));
  await until(() => gateway.heard === "one two three");
  await gateway.say(u8(1));
  await gateway.say(u8(2), Uint8Array.of(0, 0, 0, 7));
  await gateway.say(u8(4), u8(0));
  need((await ends) === 0 && told.exit === 7 && gateway.connections === 3 && told.cut === 2);
  need(gateway.sizes.join(";") === "0,24,0,80" && (await line.write(utf8("late")).catch(() => false)) === false);
}

/** What is over for good is not tried again. */
async function over() {
  for (const [code, name] of [[4401, "session"], [4423, "locked"], [4503, "stopped"]]) {
    const { gateway, ends } = await opened();
    gateway.socket.close(code);
    need((await ends) === name && gateway.connections === 1);
  }
  // who gets no connection for a minute is told so, and not before
  const away = await opened();
  const answers = globalThis.fetch;
  let asked = 0;
  globalThis.fetch = async () => {
    asked += 1;
    now += asked > 1 ? 60_001 : 0;
    throw new TypeError("nobody answers");
  };
  away.gateway.socket.close(1006);
  need((await away.ends) === "lost" && asked === 2 && away.told.cut === 2);
  globalThis.fetch = answers;
  // a browser is not told why it was refused: the container's state says what is over
  for (const [state, locked, name] of [[3, 1, "locked"], [7, 1, "stopped"], [9, 1, "stopped"]]) {
    const { gateway, ends } = await opened();
    container = message(number(3, state), number(7, locked));
    gateway.refuses = true;
    gateway.socket.close(1001);
    need((await ends) === name && gateway.connections === 2);
  }
  // and what is not over goes on
  const still = await opened();
  container = message(number(3, 5), number(7, 1));
  still.gateway.refuses = true;
  still.gateway.socket.close(1001);
  await until(() => still.told.cut === 2);
  still.gateway.refuses = false;
  await until(() => still.told.mended === 1);
  still.gateway.socket.close(4401);
  need((await still.ends) === "session");
  const own = await opened();
  await own.line.close();
  need((await own.ends) === null);
  await until(() => own.gateway.closed);
  // a cell that says what no cell says is not asked again
  const wrong = await opened();
  await wrong.gateway.say(u8(9));
  need((await wrong.ends) === "Refused" && wrong.gateway.connections === 1);
}

/** Who ends it while nobody is connected is told that the cell has not heard it, and nobody connects again. */
async function ended() {
  const { gateway, line, told, ends } = await opened();
  gateway.socket.close(1006);
  await until(() => told.cut === 1);
  await line.close();
  need((await ends) === UNHEARD && gateway.connections === 1);
}

/** Somebody else's answer opens nothing. */
async function forged() {
  const [between, other] = [await parties(), await parties()];
  const gateway = new Gateway(between);
  const begun = await beginChannel(between.place, other.cellPublic, between.user, terminalOf(["/bin/sh"]));
  const { answer } = await CellSide.accept(other, (await beginChannel(other.place, other.cellPublic, other.user, terminalOf(["x"]))).hello);
  gateway.take = async (socket) => gateway.give(socket, answer);
  let open = false;
  const line = new Line("c", begun, { opened: () => (open = true), said: () => undefined, cut: () => undefined, mended: () => undefined });
  need((await line.run().catch((error) => error.name)) === "Refused" && !open);
}

export async function lines() {
  globalThis.document = { cookie: "" };
  globalThis.location = { host: "node" };
  Object.defineProperty(globalThis, "performance", { value: { now: () => now } });
  globalThis.fetch = async (path) => {
    const said = path.endsWith("/GetContainer") ? bytes(1, container) : TOKEN;
    const answer = concat(framed(0, said), framed(128, utf8("grpc-status: 0\r\n")));
    return new Response(answer, { headers: { "content-type": "application/grpc-web+proto" } });
  };
  await resumed();
  await over();
  await ended();
  await forged();
  return ["resumed", "over", "ended", "forged"];
}
