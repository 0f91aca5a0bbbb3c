// Protobuf, as little of it as the pages need: strings, bytes, whole numbers, messages. Fields are named by their numbers in
// proto/ocmt/v1. What a node sends is read here and believed nowhere.

import { concat, need, text as decoded, utf8 } from "../core/codec.js";

function varint(number) {
  const out = [];
  let rest = BigInt(number);
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    out.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(out);
}

export const bytes = (field, value) => concat(varint((field << 3) | 2), varint(value.length), value);
export const text = (field, value) => (value === "" ? new Uint8Array() : bytes(field, utf8(value)));
export const number = (field, value) => (BigInt(value) === 0n ? new Uint8Array() : concat(varint(field << 3), varint(value)));
export const message = (...parts) => concat(...parts);

class Cursor {
  constructor(buffer) {
    this.buffer = buffer;
    this.at = 0;
  }

  varint() {
    let [value, shift] = [0n, 0n];
    for (;;) {
      need(this.at < this.buffer.length && shift < 64n);
      const byte = this.buffer[this.at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
      shift += 7n;
    }
  }

  take(count) {
    need(count <= this.buffer.length - this.at);
    this.at += count;
    return this.buffer.slice(this.at - count, this.at);
  }
}

/** The fields of a message: what each number was given, in order. Fixed-width numbers are passed over. */
export function read(buffer) {
  const cursor = new Cursor(buffer);
  const found = new Map();
  while (cursor.at < buffer.length) {
    const key = cursor.varint();
    const [field, kind] = [Number(key >> 3n), Number(key & 7n)];
    let value = null;
    if (kind === 0) value = cursor.varint();
    else if (kind === 2) value = cursor.take(Number(cursor.varint()));
    else if (kind === 1) cursor.take(8);
    else if (kind === 5) cursor.take(4);
    else need(false);
    if (value !== null) found.set(field, [...(found.get(field) ?? []), value]);
  }
  return new Fields(found);
}

/** What a message says; what is not there is as protobuf has it: empty, or 0. */
class Fields {
  #found;

  constructor(found) {
    this.#found = found;
  }

  #last(field, wanted) {
    const value = this.#found.get(field)?.at(-1);
    need(value === undefined || (typeof value === "bigint") === (wanted === "bigint"));
    return value;
  }

  bytes(field) {
    return this.#last(field, "bytes") ?? new Uint8Array();
  }

  text(field) {
    return decoded(this.bytes(field));
  }

  number(field) {
    return this.#last(field, "bigint") ?? 0n;
  }

  message(field) {
    return read(this.bytes(field));
  }

  all(field) {
    const values = this.#found.get(field) ?? [];
    need(values.every((value) => typeof value !== "bigint"));
    return values;
  }
}
