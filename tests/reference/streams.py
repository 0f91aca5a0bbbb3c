"""Transcripts from docs/formats-cell-and-recovery.md, and exports from docs/formats.md, both ways."""

import os

from primitives import Reader, argon2id, envelope, head, hkdf, i64, need, normalised, open_envelope, opt, u32, u64, var
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
MOST_CONTENT = {1: 65_855, 2: 262_145}


def export_key(header, passphrase):
    need(header[5] in MOST_CONTENT)
    reader = Reader(header, 0x40, header[5])
    memory, passes, lanes, salt = reader.number(4), reader.number(4), reader.number(4), reader.var(64)
    reader.done()
    need(len(salt) == 16)
    stretched = argon2id(normalised(passphrase), memory, passes, lanes, salt)
    return hkdf(bytes(32), stretched, b"OCMT export key v1\0" + header)


def chunk_context(index, final):
    return b"OCMT export v1\0" + u64(index) + bytes([final])


def read_head(content):
    reader = Reader(content)
    head = {"id": reader.take(16).hex(), "container": None}
    mark = reader.number(1)
    need(mark <= 1)
    if mark:
        head["container"] = reader.take(16).hex()
    head["first_sequence"] = reader.number(8)
    head["created_at"], head["updated_at"] = reader.opt_time(), reader.opt_time()
    reader.done()
    need(head["first_sequence"] >= 1)
    return head | {"said": [], "finished": False}


def read_said(talk, content):
    need(not talk["finished"] and content[0] <= 1)
    need(talk["first_sequence"] + len(talk["said"]) <= 1_048_576)
    talk["said"].append(content[1:].hex())
    talk["finished"] = content[0] == 1


def read_records(version, records):
    """Entries and conversations between the first record and the last."""
    entries, talks = [], []
    for kind, content in records:
        if kind == 2:
            need(not talks)
            number = int.from_bytes(content[:8], "big")
            need(number > 0)
            entries.append(read_entry(content[8:], number))
        elif kind == 3 and version == 2:
            talks.append(read_head(content))
        else:
            need(kind == 4 and talks)
            read_said(talks[-1], content)
    need(len({entry["name"] for entry in entries}) == len(entries) <= 10_000)
    need(len({talk["id"] for talk in talks}) == len(talks) <= 10_000)
    return entries, talks


def export_end(version, entries, talks):
    end = u32(len(entries))
    return end if version == 1 else end + u32(len(talks)) + u64(sum(len(talk["said"]) for talk in talks))


def read_export(file, passphrase):
    """What it says of itself, its entries and its conversations."""
    reader = Reader(file)
    header = reader.take(38)
    key, version = export_key(header, passphrase), header[5]
    records, index, final = [], 0, 0
    while not final:
        final, sealed = reader.number(1), reader.var(MOST_RECORDS + 40)
        need(final <= 1)
        epoch, plain = open_envelope(0x41, key, chunk_context(index, final), sealed)
        need(epoch == 0)
        index += 1
        inner = Reader(plain)
        while inner.at < len(plain):
            records.append((inner.number(1), inner.var(MOST_CONTENT[version])))
    reader.done()
    need(len(records) >= 2 and records[0][0] == 1 and records[-1][0] == 255)
    about = Reader(records[0][1])
    facts = {"tenant": about.take(16).hex(), "vault": about.take(16).hex(), "at": about.time()}
    facts["counter"] = about.number(8)
    about.done()
    entries, talks = read_records(version, records[1:-1])
    need(records[-1][1] == export_end(version, entries, talks))
    return facts, entries, talks


def conversation_records(talk):
    times = [None if talk[at] is None else i64(talk[at]) for at in ("created_at", "updated_at")]
    container = talk["container"] and bytes.fromhex(talk["container"])
    head = bytes.fromhex(talk["id"]) + opt(container) + u64(talk["first_sequence"]) + opt(times[0]) + opt(times[1])
    yield b"\x03" + var(head)
    for at, text in enumerate(talk["said"]):
        final = bytes([talk["finished"] and at + 1 == len(talk["said"])])
        yield b"\x04" + var(final + bytes.fromhex(text))


def make_export(scope, at, counter, passphrase, entries, talks=()):
    """One chunk for each record: where chunks end is the writer's choice."""
    version = 2 if talks else 1
    header = head(0x40, version) + u32(19 * 1024) + u32(2) + u32(1) + var(os.urandom(16))
    key = export_key(header, passphrase)
    chunks = [b"\x01" + var(scope + i64(at) + u64(counter))]
    chunks += [b"\x02" + var(u64(entry["version"]) + entry_plaintext(entry)) for entry in entries]
    chunks += [record for talk in talks for record in conversation_records(talk)]
    chunks.append(b"\xff" + var(export_end(version, entries, talks)))
    file = header
    for index, records in enumerate(chunks):
        final = int(index + 1 == len(chunks))
        file += bytes([final]) + var(envelope(0x41, 0, key, chunk_context(index, final), records))
    return file
