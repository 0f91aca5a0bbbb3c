// The cell's side of a sealed channel, for tests that play one: written from docs/formats-cell-and-recovery.md, not for pages.

import { channelInfo, exporterOf, nonceOf, progress } from "../../node/web/js/core/channel.js";
import { concat, equal, need, u64, u8, utf8 } from "../../node/web/js/core/codec.js";
import { receiving } from "../../node/web/js/core/hpke.js";
import { decrypt, encrypt, expand, mac, random, sha256, x25519Public } from "../../node/web/js/core/keys.js";

/** A cell's key, a user's, and where the cell is. */
export async function parties() {
  const [cell, user] = [random(32), random(32)];
  const place = { tenant: random(16), container: random(16), generation: 1n, unlock: random(16) };
  return { cell, cellPublic: await x25519Public(cell), user, userPublic: await x25519Public(user), place };
}

export class CellSide {
  /** Takes a Hello: the channel, and the frame that answers. */
  static async accept({ cell, userPublic, place }, hello) {
    const side = new CellSide();
    side.id = hello.slice(4, 20);
    const from = await receiving(cell, hello.slice(20, 52), channelInfo(place, side.id), { sender: userPublic });
    side.stream = await from.open(hello.slice(52), hello.slice(0, 20));
    const [exporter, fresh] = [await exporterOf(from), random(32)];
    const transcript = await sha256(utf8("OCMT channel v1 transcript"), await sha256(hello), fresh);
    const prk = await mac(transcript, concat(exporter, fresh));
    const key = (label) => expand(prk, utf8(`OCMT channel v1 ${label}`));
    side.keys = {};
    for (const name of ["client record", "cell record", "client control", "cell control"]) side.keys[name] = await key(name);
    side.confirmed = await mac(await key("client confirm"), transcript);
    Object.assign(side, { next: 0n, expects: 0n, kept: [], attempt: 0n });
    return { side, answer: concat(u8(2), side.id, fresh, await mac(await key("cell confirm"), transcript)) };
  }

  /** Seals what it says, and keeps it. */
  async say(plaintext) {
    const head = concat(u8(4), u64(this.next));
    const sealed = await encrypt(this.keys["cell record"], nonceOf(this.next), plaintext, concat(head, this.id));
    this.next += 1n;
    this.kept.push(concat(head, sealed));
    return this.kept.at(-1);
  }

  async progress(kind) {
    const body = progress(kind, this.id, this.attempt, this.expects);
    return concat(body, await mac(this.keys["cell control"], body));
  }

  /** A frame of the client: what it says, null if nothing, and what is answered. */
  async take(frame) {
    if (frame[0] === 3) {
      need(equal(frame, concat(u8(3), this.id, this.confirmed)));
      return { said: null, send: [] };
    }
    if (frame[0] === 4) {
      const counter = new DataView(frame.buffer, frame.byteOffset).getBigUint64(1);
      if (counter < this.expects) return { said: null, send: [] };
      need(counter === this.expects);
      const aad = concat(frame.slice(0, 9), this.id);
      const said = await decrypt(this.keys["client record"], nonceOf(counter), frame.slice(9), aad);
      this.expects += 1n;
      return { said, send: [] };
    }
    const view = new DataView(frame.buffer, frame.byteOffset);
    const [attempt, next] = [view.getBigUint64(17), view.getBigUint64(25)];
    need(equal(await mac(this.keys["client control"], frame.slice(0, 33)), frame.slice(33)));
    this.kept.splice(0, Number(next - (this.next - BigInt(this.kept.length))));
    if (frame[0] === 5) return { said: null, send: [] };
    need(frame[0] === 6 && attempt > this.attempt);
    this.attempt = attempt;
    return { said: null, send: [await this.progress(7), ...this.kept] };
  }
}
