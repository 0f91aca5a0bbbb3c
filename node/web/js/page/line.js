// A sealed channel to a cell that is written to, over as many connections as it takes: one that is lost is made again and the channel
// goes on where it was, for as long as the cell keeps it.

import { RESUMED } from "../core/channel.js";
import { Refused } from "../core/codec.js";
import { acceptDuplex } from "../core/duplex.js";
import { call, Declined, once, Unreachable } from "./call.js";
import { Told } from "./shown.js";
import { message, text } from "./wire.js";

/** Longest wait for a container that wakes; and for so long a cell keeps a channel that nobody is connected to. */
const PATIENCE_MS = 60_000;
/** The first wait before another connection, and the longest. */
const [AGAIN_MS, MOST_AGAIN_MS] = [250, 4_000];
const CHUNK = 16_384;
/** Why it is over where it was ended here and nobody was connected: the cell has not heard it, and waits for another connection. */
export const UNHEARD = -1;
/** Codes of gRPC that pass: late, used up, interfered with, away. */
const PASSING = [4, 8, 10, 14];

/** States of a container: one that runs, and those in which nothing runs and nothing comes back by itself. */
const RUNNING = 3n;
const AT_REST = [1n, 7n, 9n, 10n];

/** What the gateway says is over for good. */
function ended(code) {
  if (code === 4401) throw new Told("session");
  if (code === 4423) throw new Told("locked");
  if (code === 4503) throw new Told("stopped");
}

const passes = (error) => error instanceof Unreachable || (error instanceof Declined && PASSING.includes(error.code));

export class Line {
  #container;
  #begun;
  #told;
  #channel = null;
  #socket = null;
  #work = Promise.resolve();
  #drawn = Promise.resolve();
  /** Whether the cell was heard over this connection. */
  #alive = false;
  #wrong = null;
  /** Why it is over: the cell's reason, null for one's own, or `UNHEARD`. */
  #over;

  /** `told` is what hears of it: `opened`, `said` with what the cell says, `cut` and `mended`. */
  constructor(container, begun, told) {
    this.#container = container;
    this.#begun = begun;
    this.#told = told;
  }

  /** Until it is over: the cell's reason, null or `UNHEARD` if it was ended here. */
  async run() {
    let [since, again] = [0, AGAIN_MS];
    try {
      for (let first = this.#begun.hello; ; first = await this.#channel.resume()) {
        this.#alive = false;
        const code = await this.#connection(first);
        if (this.#alive) [since, again] = [performance.now(), AGAIN_MS];
        await this.#drawn;
        if (this.#over !== undefined) return this.#over;
        ended(code);
        if (this.#channel === null) throw this.#wrong ?? new Unreachable();
        if (this.#channel.over) throw new Refused();
        if (performance.now() - since > PATIENCE_MS) throw new Told("lost");
        this.#told.cut();
        const pause = again;
        await new Promise((over) => setTimeout(over, pause));
        again = Math.min(2 * again, MOST_AGAIN_MS);
        if (this.#over !== undefined) return this.#over;
      }
    } finally {
      this.#channel?.wipe();
    }
  }

  /** One connection, until it ends: its code. */
  async #connection(first) {
    let token;
    try {
      token = (await call("ContainerService/IssueGatewayToken", message(text(1, this.#container), once()))).text(1);
    } catch (error) {
      if (this.#channel === null || !passes(error)) throw error;
      return 0;
    }
    // ended here meanwhile
    if (this.#over !== undefined) return 0;
    const socket = new WebSocket(`wss://${location.host}/gateway/${this.#container}`, ["ocmt.v1", `ocmt.token.${token}`]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const late = setTimeout(() => socket.close(), PATIENCE_MS);
    let taken = false;
    const code = await new Promise((over) => {
      socket.addEventListener("open", () => {
        taken = true;
        socket.send(first);
      });
      socket.addEventListener("message", ({ data }) => {
        this.#then(() => this.#take(new Uint8Array(data))).then(
          () => clearTimeout(late),
          (error) => {
            // damaged or out of order on the way: nothing of it was taken, another connection goes on
            this.#wrong = error;
            socket.close();
          },
        );
      });
      socket.addEventListener("close", (event) => this.#then(() => over(event.code)));
    });
    clearTimeout(late);
    this.#socket = null;
    this.#channel?.lose();
    if (!taken) await this.#standing();
    return code;
  }

  /** Why a connection was refused is told to no page: so it is asked whether the channel can still be there. */
  async #standing() {
    let container;
    try {
      container = (await call("ContainerService/GetContainer", message(text(1, this.#container)))).message(1);
    } catch (error) {
      if (passes(error)) return;
      throw error;
    }
    const state = container.number(3);
    if (state === RUNNING && container.number(7) === 1n) throw new Told("locked");
    if (AT_REST.includes(state)) throw new Told("stopped");
  }

  /** One thing after the other: a record is sealed or opened before the next. */
  #then(work) {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    return done;
  }

  /** What a connection that ends does not take is kept, and sent over the next. Whether there was something, and it went out. */
  #send(frames) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    for (const frame of frames) this.#socket.send(frame);
    return frames.length > 0;
  }

  async #take(frame) {
    if (this.#over !== undefined) return;
    if (this.#channel === null) {
      const { confirm, channel } = await acceptDuplex(this.#begun, frame);
      this.#channel = channel;
      this.#send([confirm]);
      this.#alive = true;
      this.#told.opened();
      return;
    }
    const { said, send } = await this.#channel.take(frame);
    this.#alive = true;
    if (frame[0] === RESUMED) this.#told.mended();
    if (said === null) this.#send(send);
    else this.#hear(said, send);
  }

  /** Drawn one after the other, beside what is typed, which waits for none of it; acknowledged once it is, so the cell waits. */
  #hear(said, acks) {
    const socket = this.#socket;
    const drawn = this.#drawn.then(async () => {
      await this.#told.said(said);
      if (this.#socket === socket) this.#send(acks);
      if (said.closed !== undefined) this.#end(said.closed);
    });
    this.#drawn = drawn.catch(() => undefined);
  }

  #end(reason) {
    this.#over = reason;
    this.#socket?.close();
  }

  /** Sends input; false if there was no room for all of it, as when nobody takes it. */
  write(bytes) {
    return this.#then(async () => {
      for (let at = 0; at < bytes.length; at += CHUNK) {
        const part = bytes.subarray(at, at + CHUNK);
        if (this.#channel === null || part.length > this.#channel.room) return false;
        this.#send(await this.#channel.data(part));
      }
      return true;
    });
  }

  size(rows, columns) {
    return this.#then(async () => {
      if (this.#channel !== null) this.#send(await this.#channel.size(rows, columns));
    });
  }

  /** Ends it: the cell ends what runs at the other end, at once if it hears it. */
  close() {
    return this.#then(async () => {
      if (this.#over !== undefined) return;
      const heard = this.#channel !== null && !this.#channel.over && this.#send(await this.#channel.close());
      this.#end(heard ? null : UNHEARD);
    });
  }
}
