// The client's side of a sealed channel (docs/formats-cell-and-recovery.md, "Sealed channel"): how it begins, and what is read from it.
// A log is read to its end over one connection; what is written to as well, and resumed, is in `duplex.js`.

import { concat, equal, list, need, u32, u64, u8, utf8, varied } from "./codec.js";
import { sending } from "./hpke.js";
import { decrypt, expand, mac, random, sha256 } from "./keys.js";

const [HELLO, ACCEPT, CONFIRM] = [1, 2, 3];
export const [RECORD, ACK, RESUME, RESUMED] = [4, 5, 6, 7];
export const [DATA, END, EXIT, SIZE, CLOSE] = [0, 1, 2, 3, 4];
const ACK_BYTES = 131_072;
const ACK_RECORDS = 64;
const HEAD = 9;
const MOST_ARGUMENTS = 256;
const MOST_OF_THEM = 16_384;

/** What a channel is connected to: the workload's output, as far as it is kept. */
export const LOGS = Uint8Array.of(3, 0);

/** Or a command with a terminal of its own. */
export function terminalOf(argv) {
  const all = argv.map(utf8);
  need(all.length >= 1 && all.length <= MOST_ARGUMENTS && !argv.some((one) => one.includes("\0")));
  need(all.reduce((sum, { length }) => sum + length, 0) <= MOST_OF_THEM);
  return concat(Uint8Array.of(2, 1), list(all.map(varied)));
}

/** What a channel is bound to: tenant, container, its generation, the unlock, and the channel's own id. */
export const channelInfo = (place, id) =>
  concat(utf8("OCMT channel v1"), place.tenant, place.container, u64(place.generation), place.unlock, id);

const exported = (context) => context.export(utf8("OCMT channel v1 exporter"), 32);

/** The first frame, and what is needed for the answer. `cell` is the cell's key, `own` the secret of the user's channel key. */
export async function beginChannel(place, cell, own, stream) {
  const id = random(16);
  const to = await sending(cell, channelInfo(place, id), { sender: own });
  try {
    const head = concat(Uint8Array.of(HELLO, 1, 1, 0), id);
    const hello = concat(head, to.enc, await to.seal(stream, head));
    return { id, hello, exporter: await exported(to) };
  } finally {
    to.wipe();
  }
}

/** For who opens a Hello: the same exporter. */
export const exporterOf = exported;

/** Checks the cell's answer: the frame that confirms it, and the keys by their names, until they are wiped. */
export async function agreed({ id, hello, exporter }, answer) {
  need(answer.length === 81 && answer[0] === ACCEPT && equal(answer.slice(1, 17), id));
  const fresh = answer.slice(17, 49);
  const transcript = await sha256(utf8("OCMT channel v1 transcript"), await sha256(hello), fresh);
  const prk = await mac(transcript, concat(exporter, fresh));
  exporter.fill(0);
  const key = (label) => expand(prk, utf8(`OCMT channel v1 ${label}`));
  need(equal(await mac(await key("cell confirm"), transcript), answer.slice(49)));
  const confirm = concat(u8(CONFIRM), id, await mac(await key("client confirm"), transcript));
  return { confirm, key, wipe: () => prk.fill(0) };
}

/**
 * Takes the cell's answer: the frame that confirms it, and what reads the cell's records from then on. `attempt` is of a channel that
 * was resumed so often, which the vectors alone have.
 */
export async function acceptChannel(begun, answer, attempt = 0n) {
  const { confirm, key, wipe } = await agreed(begun, answer);
  const reading = new Reading(begun.id, await key("cell record"), await key("client control"), attempt);
  wipe();
  return { confirm, reading };
}

/** What authenticates nothing more than how far somebody has received. */
export const progress = (kind, id, attempt, next) => concat(u8(kind), id, u64(attempt), u64(next));

export const nonceOf = (counter) => concat(u32(0), u64(counter));

/** What a cell says, in order. */
export class Reading {
  #id;
  #record;
  #control;
  #attempt;
  #next = 0n;
  #bytes = 0;
  #records = 0;
  #ended = false;
  #closed = false;
  #broken = false;

  constructor(id, record, control, attempt) {
    this.#id = id;
    this.#record = record;
    this.#control = control;
    this.#attempt = attempt;
  }

  get attempt() {
    return this.#attempt;
  }

  /** Nothing more comes of it: the cell has closed it, or has said what no cell says. */
  get over() {
    return this.#closed || this.#broken;
  }

  /** One frame: what it says, null if nothing, and the frame that acknowledges it, null if none is due. */
  async take(frame) {
    if (frame[0] === ACK) return { said: null, ack: null };
    need(frame[0] === RECORD && frame.length >= HEAD + 16);
    const counter = new DataView(frame.buffer, frame.byteOffset).getBigUint64(1);
    if (counter < this.#next) return { said: null, ack: null };
    need(counter === this.#next);
    const aad = concat(frame.slice(0, HEAD), this.#id);
    const plaintext = await decrypt(this.#record, nonceOf(counter), frame.slice(HEAD), aad);
    this.#next += 1n;
    this.#broken = true;
    const said = this.#read(plaintext);
    this.#broken = false;
    this.#bytes += plaintext.length;
    this.#records += 1;
    const due = this.#closed || this.#bytes >= ACK_BYTES || this.#records >= ACK_RECORDS;
    return { said, ack: due ? await this.#progress(ACK) : null };
  }

  /** The first frame of another connection, which asks the cell to go on. */
  resume() {
    this.#attempt += 1n;
    return this.#progress(RESUME);
  }

  #read(plaintext) {
    need(!this.#closed && plaintext.length >= 1);
    const length = plaintext.length;
    switch (plaintext[0]) {
      case DATA:
        need(!this.#ended && length >= 2 && plaintext[1] <= 1);
        return { lane: plaintext[1], data: plaintext.slice(2) };
      case END:
        need(!this.#ended && length === 1);
        this.#ended = true;
        return { end: true };
      case EXIT:
        need(length === 5);
        return { exit: new DataView(plaintext.buffer, plaintext.byteOffset).getInt32(1) };
      case CLOSE:
        need(length === 2 && plaintext[1] <= 4);
        this.#closed = true;
        return { closed: plaintext[1] };
      default:
        return need(false);
    }
  }

  async #progress(kind) {
    [this.#bytes, this.#records] = [0, 0];
    const body = progress(kind, this.#id, this.#attempt, this.#next);
    return concat(body, await mac(this.#control, body));
  }

  wipe() {
    this.#record.fill(0);
    this.#control.fill(0);
  }
}
