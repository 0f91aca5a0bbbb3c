// A sealed channel that is written to as well, and goes on over another connection when one is lost. What was sealed is kept as it went
// out until the cell has it; nothing is sealed a second time, and no counter is used twice.

import { ACK, agreed, CLOSE, DATA, nonceOf, progress, Reading, RECORD, RESUMED, SIZE } from "./channel.js";
import { concat, equal, need, u64, u8 } from "./codec.js";
import { encrypt, mac } from "./keys.js";

const MOST_DATA = 65_472;
const MOST_FRAME = 65_536;
const MOST_KEPT = 1_048_576;
/** So much more of it is for what is no data. */
const CONTROL_ROOM = 4_096;
/** What a record is longer than what it says, and a data message than its data. */
const [OVERHEAD, LANE] = [25, 2];
const MOST_RECORDS = 2n ** 31n;
const [UP, LOST, RESUMING] = [0, 1, 2];

/** Takes the cell's answer to what `beginChannel` made: the frame that confirms it, and the channel. */
export async function acceptDuplex(begun, answer) {
  const { confirm, key, wipe } = await agreed(begun, answer);
  const reading = new Reading(begun.id, await key("cell record"), await key("client control"), 0n);
  const channel = new Duplex(begun.id, reading, await key("client record"), await key("cell control"));
  wipe();
  return { confirm, channel };
}

/** Both directions. One thing is done at a time, so callers wait for each before the next. */
class Duplex {
  #id;
  #reading;
  #record;
  #control;
  #next = 0n;
  #kept = [];
  #bytes = 0;
  #connection = UP;
  #closed = false;
  #broken = false;

  constructor(id, reading, record, control) {
    this.#id = id;
    this.#reading = reading;
    this.#record = record;
    this.#control = control;
  }

  /** Whether it can be resumed no more. */
  get over() {
    return this.#closed || this.#broken || this.#reading.over;
  }

  /** Bytes of data that may be sent now, as one message. */
  get room() {
    return this.over ? 0 : Math.max(0, Math.min(MOST_DATA, MOST_KEPT - this.#bytes - OVERHEAD - LANE));
  }

  /** Seals input, of `room` at most: the frames that are to be sent now, none while the connection is lost. */
  data(bytes) {
    need(bytes.length >= 1 && bytes.length <= this.room);
    return this.#seal(concat(u8(DATA), u8(0), bytes));
  }

  size(rows, columns) {
    return this.#seal(Uint8Array.of(SIZE, rows >> 8, rows & 255, columns >> 8, columns & 255));
  }

  /** Says that nothing more is wanted. */
  async close() {
    const frames = await this.#seal(Uint8Array.of(CLOSE, 0));
    this.#closed = true;
    return frames;
  }

  async #seal(plaintext) {
    need(!this.over && this.#next < MOST_RECORDS && this.#bytes + 64 <= MOST_KEPT + CONTROL_ROOM);
    // taken before anything is waited for: whatever happens, this counter is not used again
    const counter = this.#next;
    this.#next += 1n;
    const head = concat(u8(RECORD), u64(counter));
    const frame = concat(head, await encrypt(this.#record, nonceOf(counter), plaintext, concat(head, this.#id)));
    this.#kept.push(frame);
    this.#bytes += frame.length;
    return this.#connection === UP ? [frame] : [];
  }

  /** One frame of the cell: what it says, null if nothing, and the frames that are to be sent for it. */
  async take(frame) {
    need(!this.#broken && frame.length >= 1 && frame.length <= MOST_FRAME);
    if (frame[0] === ACK || frame[0] === RESUMED) return { said: null, send: await this.#heard(frame) };
    const { said, ack } = await this.#reading.take(frame);
    return { said, send: ack === null ? [] : [ack] };
  }

  async #heard(frame) {
    need(frame.length === 65 && equal(frame.slice(1, 17), this.#id));
    const view = new DataView(frame.buffer, frame.byteOffset);
    const [attempt, next] = [view.getBigUint64(17), view.getBigUint64(25)];
    const own = await mac(this.#control, progress(frame[0], this.#id, attempt, next));
    need(equal(own, frame.slice(33)));
    if (frame[0] === ACK) {
      // an old one, played again, tells what is known
      this.#forget(next > this.#oldest ? next : this.#oldest);
      return [];
    }
    need(this.#connection === RESUMING && attempt === this.#reading.attempt);
    this.#forget(next);
    this.#connection = UP;
    return [...this.#kept];
  }

  get #oldest() {
    return this.#next - BigInt(this.#kept.length);
  }

  /** The cell lacks nothing that it acknowledged, and has nothing that was never sent: with another one nothing goes on. */
  #forget(next) {
    this.#broken ||= next < this.#oldest || next > this.#next;
    need(!this.#broken);
    for (const { length } of this.#kept.splice(0, Number(next - this.#oldest))) this.#bytes -= length;
  }

  /** The connection was lost. What is sealed from now on waits for the next. */
  lose() {
    this.#connection = LOST;
  }

  /** The first frame of the next. */
  resume() {
    need(!this.over);
    this.#connection = RESUMING;
    return this.#reading.resume();
  }

  wipe() {
    this.#broken = true;
    this.#reading.wipe();
    this.#record.fill(0);
    this.#control.fill(0);
  }
}
