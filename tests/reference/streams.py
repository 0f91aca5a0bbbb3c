"""Transcripts from docs/formats-cell-and-recovery.md, and exports from docs/formats.md, both ways."""

import os

from primitives import Reader, argon2id, envelope, head, hkdf, i64, need, normalised, open_envelope, u32, u64, var
from vault import entry_plaintext, read_entry

# ---- transcripts


def record_context(place, sequence, tag, final):
    return place + u64(sequence) + tag + final


def read_transcript(place, keys, records):
    """`keys` by epoch. Returns what was said, and whether it is finished."""
    said, tag, latest, finished = [], bytes(16), 0, False
    for sequence, record in enumerate(records):
        final, sealed = record[:1], record[1:]
        need(final in (b"\x00", b"\x01") and not finished)
        context = record_context(place, sequence, tag, final)
        named = int.from_bytes(sealed[8:12], "big")
        epoch, text = open_envelope(0x04, keys[named], context, sealed)
        need(epoch == named >= latest and len(text) <= 262_144)
        said.append(text)
        tag, latest, finished = sealed[-16:], epoch, final == b"\x01"
    return said, finished


def make_transcript(place, epoch, key, said):
    records, tag = [], bytes(16)
    for sequence, text in enumerate(said):
        final = b"\x01" if sequence + 1 == len(said) else b"\x00"
        sealed = envelope(0x04, epoch, key, record_context(place, sequence, tag, final), text)
        records.append(final + sealed)
        tag = sealed[-16:]
    return records


# ---- exports

MOST_RECORDS = 1 << 20


def export_key(header, passphrase):
    reader = Reader(header, 0x40)
    memory, passes, lanes, salt = reader.number(4), reader.number(4), reader.number(4), reader.var(64)
    reader.done()
    need(len(salt) == 16)
    stretched = argon2id(normalised(passphrase), memory, passes, lanes, salt)
    return hkdf(bytes(32), stretched, b"OCMT export key v1\0" + header)


def chunk_context(index, final):
    return b"OCMT export v1\0" + u64(index) + bytes([final])


def read_export(file, passphrase):
    reader = Reader(file)
    key = export_key(reader.take(38), passphrase)
    records, index, final = [], 0, 0
    while not final:
        final, sealed = reader.number(1), reader.var(MOST_RECORDS + 40)
        need(final <= 1)
        epoch, plain = open_envelope(0x41, key, chunk_context(index, final), sealed)
        need(epoch == 0)
        index += 1
        inner = Reader(plain)
        while inner.at < len(plain):
            records.append((inner.number(1), inner.var(65_855)))
    reader.done()
    need(len(records) >= 2 and records[0][0] == 1 and records[-1][0] == 255)
    about = Reader(records[0][1])
    facts = {"tenant": about.take(16).hex(), "vault": about.take(16).hex(), "at": about.time()}
    facts["counter"] = about.number(8)
    about.done()
    entries = []
    for kind, content in records[1:-1]:
        need(kind == 2)
        version = int.from_bytes(content[:8], "big")
        need(version > 0)
        entries.append(read_entry(content[8:], version))
    need(records[-1][1] == u32(len(entries)))
    need(len({entry["name"] for entry in entries}) == len(entries) <= 10_000)
    return facts, entries


def make_export(scope, at, counter, passphrase, entries):
    """One chunk for each entry: where chunks end is the writer's choice."""
    header = head(0x40) + u32(19 * 1024) + u32(2) + u32(1) + var(os.urandom(16))
    key = export_key(header, passphrase)
    chunks = [b"\x01" + var(scope + i64(at) + u64(counter))]
    chunks += [b"\x02" + var(u64(entry["version"]) + entry_plaintext(entry)) for entry in entries]
    chunks.append(b"\xff" + var(u32(len(entries))))
    file = header
    for index, records in enumerate(chunks):
        final = int(index + 1 == len(chunks))
        file += bytes([final]) + var(envelope(0x41, 0, key, chunk_context(index, final), records))
    return file
