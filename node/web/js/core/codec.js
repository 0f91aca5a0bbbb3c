// Canonical bytes: docs/formats.md, "Notation". One value has one encoding, and reading trusts no length.
// Integers of eight bytes are BigInt, all others Number. Whatever is wrong, the error is one and the same.

export class Refused extends Error {
  constructor() {
    super("refused");
    this.name = "Refused";
  }
}

/** Every check of what came from outside goes through this: nothing takes it away, and it says nothing. */
export function need(holds) {
  if (holds !== true) throw new Refused();
}

export const utf8 = (text) => new TextEncoder().encode(text);

export function text(bytes) {
  try {
    // without ignoreBOM a leading U+FEFF would be lost, and one value would have two encodings
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused();
  }
}

export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Without a branch that depends on what differs: some of what is compared is secret. */
export function equal(one, other) {
  if (one.length !== other.length) return false;
  let differs = 0;
  for (let at = 0; at < one.length; at += 1) differs |= one[at] ^ other[at];
  return differs === 0;
}

/** Order of the bytes, as ids and leaves ascend. */
export function compare(one, other) {
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) {
    if (one[at] !== other[at]) return one[at] - other[at];
  }
  return one.length - other.length;
}

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function unhex(digits) {
  need(/^([0-9a-f]{2})*$/.test(digits));
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** The 16 bytes of an id that is written as a lower-case hyphenated UUID, and back. */
export function idBytes(uuid) {
  need(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid));
  return unhex(uuid.replaceAll("-", ""));
}

export const idText = (id) => hex(id).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");

export const u8 = (number) => Uint8Array.of(number);

function integer(size, set) {
  const out = new Uint8Array(size);
  set(new DataView(out.buffer));
  return out;
}

export const u32 = (number) => integer(4, (view) => view.setUint32(0, number));
export const u64 = (number) => integer(8, (view) => view.setBigUint64(0, BigInt(number)));
export const i64 = (number) => integer(8, (view) => view.setBigInt64(0, BigInt(number)));
export const varied = (bytes) => concat(u32(bytes.length), bytes);
export const list = (items) => concat(u32(items.length), ...items);
export const option = (bytes) => (bytes === null ? u8(0) : concat(u8(1), bytes));
export const head = (kind, version = 1) => concat(utf8("OCMT"), u8(kind), u8(version));

/** Reads what the functions above wrote, and refuses all else. What it returns are copies. */
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes, kind = null, version = 1) {
    this.#bytes = bytes;
    if (kind !== null) need(equal(this.take(6), head(kind, version)));
  }

  /** How much was read. */
  get at() {
    return this.#at;
  }

  take(count) {
    need(count <= this.#bytes.length - this.#at);
    this.#at += count;
    return this.#bytes.slice(this.#at - count, this.#at);
  }

  #view(size) {
    return new DataView(this.take(size).buffer);
  }

  u8() {
    return this.take(1)[0];
  }

  u32() {
    return this.#view(4).getUint32(0);
  }

  u64() {
    return this.#view(8).getBigUint64(0);
  }

  i64() {
    return this.#view(8).getBigInt64(0);
  }

  varied(most) {
    const length = this.u32();
    need(length <= most);
    return this.take(length);
  }

  option(read) {
    const mark = this.u8();
    need(mark <= 1);
    return mark === 1 ? read() : null;
  }

  /** A count is held against what is there before anything is made for it. */
  list(most, least, read) {
    const count = this.u32();
    need(count <= most && count * least <= this.#bytes.length - this.#at);
    return Array.from({ length: count }, read);
  }

  rest() {
    return this.take(this.#bytes.length - this.#at);
  }

  done() {
    need(this.#at === this.#bytes.length);
  }
}
