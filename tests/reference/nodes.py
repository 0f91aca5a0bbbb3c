"""What nodes, cells and people have beside vaults, both ways: snapshots, policies, backups of the sealing key, grants,
signed notes, records of deletion, exported conversations. From docs/formats.md and
docs/formats-cell-and-recovery.md alone."""

import base64
import json
import os
import uuid

from primitives import (
    Reader, argon2id, ed25519_public, envelope, head, hkdf, i64, mac, need, normalised, open_box, open_envelope, opt,
    seal_box, sha256, sign, sign_plain, u32, u64, var, verify, verify_plain, x25519_public,
)
from schedules import make_schedule, open_schedule
from streams import make_transcript, read_transcript

PASSPHRASE = "violin ledger umbrella quartz"
COSTS = 19 * 1024, 2, 1
NOW = 1_800_000_000_000


class Fields:
    """Fields of a part: byte strings are hexadecimal."""

    def __init__(self, values):
        self.values = values

    def __getitem__(self, name):
        return bytes.fromhex(self.values[name])


def shown(fields):
    """The part as JSON has it."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}


def uuid_of(data):
    return str(uuid.UUID(bytes=data))


# ---- snapshots


def snapshot_place(tenant, vault, snapshot):
    return tenant + vault + sha256(b"OCMT snapshot key v1\0", snapshot) + u64(1)


def payload_info(v, generation):
    return b"OCMT snapshot v1" + v["tenant"] + v["container"] + u64(generation) + v["boot_nonce"]


def chunk_context(v, number, last):
    return v["tenant"] + v["snapshot"] + u64(number) + bytes([last])


def make_snapshot():
    names = "tenant", "vault", "container", "snapshot"
    v = {name: bytes([at + 1]) * 16 for at, name in enumerate(names)}
    names = "boot_nonce", "cell_secret_key", "key", "volume_key"
    v |= {name: os.urandom(32) for name in names}
    v |= {"generation": 3, "volume_key_version": 5, "errand": 3}
    v["payload"] = head(0x26) + bytes([3]) + v["snapshot"] + v["key"]
    v["sealed_payload"] = seal_box(x25519_public(v["cell_secret_key"]), payload_info(v, 3), b"", v["payload"])
    place = snapshot_place(v["tenant"], v["vault"], v["snapshot"])
    v["wrapped_key"] = envelope(0x02, 5, v["volume_key"], place, v["key"])
    contents = [b"what stood in a volume"]
    v["contents"] = [one.hex() for one in contents]
    v["chunks"] = [envelope(0x08, 0, v["key"], chunk_context(v, 0, 1), contents[0]).hex()]
    return shown(v)


def open_snapshot(values):
    v = Fields(values)
    need(open_box(v["cell_secret_key"], payload_info(v, values["generation"]), b"", v["sealed_payload"]) == v["payload"])
    reader = Reader(v["payload"], 0x26)
    need(reader.number(1) == values["errand"] and 1 <= values["errand"] <= 3)
    need((reader.take(16), reader.take(32)) == (v["snapshot"], v["key"]))
    reader.done()
    place = snapshot_place(v["tenant"], v["vault"], v["snapshot"])
    epoch, key = open_envelope(0x02, v["volume_key"], place, v["wrapped_key"])
    need((epoch, key) == (values["volume_key_version"], v["key"]))
    last = len(values["chunks"]) - 1
    for number, (chunk, content) in enumerate(zip(values["chunks"], values["contents"], strict=True)):
        epoch, opened = open_envelope(0x08, v["key"], chunk_context(v, number, number == last), bytes.fromhex(chunk))
        need(epoch == 0 and opened.hex() == content)
        need(len(opened) == 262_144 or number == last and len(opened) < 262_144)


# ---- sealed volumes


def volume_key_of(v):
    return hkdf(bytes(32), v["volume_key"], b"OCMT sealed volume v1")


def sealing_context(v, sealing, number, last):
    return v["tenant"] + sealing + u64(number) + bytes([last])


def make_sealed_volume():
    names = "tenant", "container", "sealing"
    v = {name: bytes([at + 1]) * 16 for at, name in enumerate(names)}
    v |= {"volume_key": os.urandom(32), "file_key": os.urandom(32), "version": 5, "serial": NOW}
    v["content"] = b"an archive, as of a snapshot"
    key, content = volume_key_of(v), v["file_key"] + v["sealing"] + u64(NOW)
    v["file"] = envelope(0x0A, 5, key, v["tenant"] + v["container"], content)
    v["file"] += envelope(0x08, 0, v["file_key"], sealing_context(v, v["sealing"], 0, True), v["content"])
    return shown(v)


def open_sealed_volume(values):
    v = Fields(values)
    sealed, chunks = v["file"][:96], v["file"][96:]
    epoch, opened = open_envelope(0x0A, volume_key_of(v), v["tenant"] + v["container"], sealed)
    reader = Reader(opened)
    file_key, sealing, serial = reader.take(32), reader.take(16), reader.number(8)
    reader.done()
    need((epoch, serial) == (values["version"], values["serial"]))
    full, number, content = 12 + 12 + 262_144 + 16, 0, b""
    while chunks:
        chunk, chunks = chunks[:full], chunks[full:]
        epoch, opened = open_envelope(0x08, file_key, sealing_context(v, sealing, number, not chunks), chunk)
        need(epoch == 0)
        content, number = content + opened, number + 1
    need(number > 0 and content == v["content"])


# ---- policies


def policy_statement(v, version, stated_at):
    return (
        head(0x27) + v["tenant"] + opt(v["user"]) + opt(v["container"]) + u64(version) + sha256(v["document"])
        + i64(stated_at) + v["node"]
    )


def policy_voucher(v, generation):
    key = hkdf(bytes(32), v["start_secret"], b"OCMT cell v1 policy signer")
    return mac(key, head(0x28) + v["tenant"] + v["container"] + u64(generation) + v["signer"])


def make_policy():
    v = {name: bytes([at + 1]) * 16 for at, name in enumerate(("tenant", "user", "container", "node"))}
    seed = os.urandom(32)
    v |= {"start_secret": os.urandom(32), "signer": ed25519_public(seed), "document": b'{"format":1}'}
    v |= {"generation": 3, "version": 7, "stated_at": NOW}
    body = policy_statement(v, 7, NOW)
    v["statement"] = body + sign(seed, b"agent policy", body)
    v["voucher"] = policy_voucher(v, 3)
    return shown(v)


def open_policy(values):
    v = Fields(values)
    body, signature = v["statement"][:-64], v["statement"][-64:]
    verify(v["signer"], b"agent policy", body, signature)
    need(body == policy_statement(v, values["version"], values["stated_at"]))
    need(v["voucher"] == policy_voucher(v, values["generation"]))


# ---- sealing keys of a cluster


def generations_of(plaintext):
    reader = Reader(plaintext)
    generations = [[reader.number(4), reader.take(32).hex()] for _ in range(reader.number(4))]
    reader.done()
    need(generations == sorted(generations))
    return generations


def backup_key(before, passphrase):
    reader = Reader(before, 0x42)
    costs = reader.number(4), reader.number(4), reader.number(4)
    stretched = argon2id(normalised(passphrase), *costs, reader.var(16))
    reader.take(32)
    reader.done()
    return hkdf(bytes(32), stretched, b"OCMT sealing backup key v1\0" + before)


def make_sealing():
    generations = [[number, os.urandom(32).hex()] for number in (2, 3, 7)]
    plaintext = u32(3) + b"".join(u32(number) + bytes.fromhex(key) for number, key in generations)
    v = {"authority": os.urandom(32), "passphrase": PASSPHRASE, "generations": generations}
    before = head(0x42) + b"".join(u32(cost) for cost in COSTS) + var(os.urandom(16)) + v["authority"]
    context = b"OCMT sealing backup v1\0" + before
    v["backup"] = before + envelope(0x43, 0, backup_key(before, PASSPHRASE), context, plaintext)
    v |= {"cluster": bytes([1]) * 16, "node": bytes([2]) * 16, "node_secret_key": os.urandom(32)}
    info = b"OCMT sealing keys v1\0" + v["cluster"] + v["node"]
    v["sealed_keys"] = seal_box(x25519_public(v["node_secret_key"]), info, b"", plaintext)
    return shown(v)


def open_sealing(values):
    v = Fields(values)
    before, sealed = v["backup"][:70], v["backup"][70:]
    need(before[38:] == v["authority"])
    context = b"OCMT sealing backup v1\0" + before
    epoch, plaintext = open_envelope(0x43, backup_key(before, values["passphrase"]), context, sealed)
    need(epoch == 0 and generations_of(plaintext) == values["generations"])
    info = b"OCMT sealing keys v1\0" + v["cluster"] + v["node"]
    need(generations_of(open_box(v["node_secret_key"], info, b"", v["sealed_keys"])) == values["generations"])


# ---- grants of entries, proofs to nodes


def grant_place(v, version):
    return v["tenant"] + v["vault"] + v["object"] + u64(version)


def make_grant():
    v = {"tenant": bytes([1]) * 16, "vault": bytes([2]) * 16, "object": os.urandom(32), "version": 4}
    seed = os.urandom(32)
    v |= {"giver": ed25519_public(seed), "taker_secret_key": os.urandom(32), "data_key": os.urandom(32)}
    place, taker = grant_place(v, 4), x25519_public(v["taker_secret_key"])
    box = seal_box(taker, b"OCMT entry grant v1", place, v["data_key"])
    v["grant"] = box + sign(seed, b"entry grant", place + taker + box)
    return shown(v)


def open_grant(values):
    v = Fields(values)
    box, signature = v["grant"][:-64], v["grant"][-64:]
    place = grant_place(v, values["version"])
    verify(v["giver"], b"entry grant", place + x25519_public(v["taker_secret_key"]) + box, signature)
    need(open_box(v["taker_secret_key"], b"OCMT entry grant v1", place, box) == v["data_key"])


PROOFS = {"unlock": (1, False), "step_up": (2, False), "completion": (3, True), "retirement": (4, True)}


def proved(v, of, with_hash):
    return v["tenant"] + v["vault"] + bytes([of]) + (v["hash"] if with_hash else b"") + v["challenge"]


def make_proofs():
    seed = os.urandom(32)
    v = {"tenant": bytes([1]) * 16, "vault": bytes([2]) * 16, "verify_key": ed25519_public(seed)}
    v |= {"challenge": os.urandom(32), "hash": os.urandom(32)}
    return shown(v | {name: sign(seed, b"vault proof", proved(v, *of)) for name, of in PROOFS.items()})


def open_proofs(values):
    v = Fields(values)
    for name, of in PROOFS.items():
        verify(v["verify_key"], b"vault proof", proved(v, *of), v[name])


# ---- signed notes of the audit, and what a deleted tenant leaves


def note_key_id(name, key):
    return sha256(name.encode() + b"\n\x01" + key)[:4]


def base64_of(data):
    return base64.b64encode(data).decode()


def checkpoint_text(v, values):
    lines = [f"ocmt.audit/{uuid_of(v['tenant'])}", str(values["size"]), base64_of(v["root"])]
    return "\n".join([*lines, f"chain {v['chain'].hex()}", f"at {values['at']}"]) + "\n"


def introduction_text(v, values):
    name = f"ocmt.node/{uuid_of(v['node'])}"
    key = f"{name}+{note_key_id(name, v['next_key']).hex()}+{base64_of(bytes([1]) + v['next_key'])}"
    return f"ocmt.node-key/{uuid_of(v['node'])}\n{key}\nat {values['at']}\n"


def cut_text(v, values):
    lines = [f"ocmt.audit-cut/{uuid_of(v['tenant'])}", str(values["size"]), base64_of(v["root"])]
    lines += [f"chain {v['chain'].hex()}", f"kept {values['kept_ms']}"]
    return "\n".join([*lines, f"policy {values['policy']} {v['policy_leaf'].hex()}", f"at {values['at']}"]) + "\n"


NOTES = {"checkpoint": checkpoint_text, "introduction": introduction_text, "cut": cut_text}


def make_notes():
    seed = os.urandom(32)
    v = {"node": bytes([1]) * 16, "tenant": bytes([2]) * 16, "node_key": ed25519_public(seed)}
    v |= {"next_key": ed25519_public(os.urandom(32)), "root": os.urandom(32), "chain": os.urandom(32)}
    v |= {"policy_leaf": os.urandom(32), "size": 256, "kept_ms": 7_776_000_000, "policy": 300, "at": NOW}
    name = f"ocmt.node/{uuid_of(v['node'])}"
    for field, text_of in NOTES.items():
        text = text_of(v, v)
        signed = note_key_id(name, v["node_key"]) + sign_plain(seed, text.encode())
        v[field] = f"{text}\n\u2014 {name} {base64_of(signed)}\n"
    return shown(v)


def open_notes(values):
    v = Fields(values)
    name = f"ocmt.node/{uuid_of(v['node'])}"
    for field, text_of in NOTES.items():
        text, signature = values[field].split("\n\n")
        dash, by, signed = signature.removesuffix("\n").split(" ")
        signed = base64.b64decode(signed, validate=True)
        need((dash, by, signed[:4]) == ("\u2014", name, note_key_id(name, v["node_key"])))
        need(text + "\n" == text_of(v, values))
        verify_plain(v["node_key"], (text + "\n").encode(), signed[4:])


def deletion_text(v, values):
    lines = ["OCMT deletion record v1", f"tenant: {uuid_of(v['tenant'])}", f"asked by: {values['asked_by']}"]
    lines += [f"asked at: {values['asked_at']}", f"erased at: {values['erased_at']}", f"erased: {values['erased']}"]
    return "\n".join([*lines, f"last audit record: {values['sequence']} {v['hash'].hex()}"]) + "\n"


def make_deletion():
    seed = os.urandom(32)
    v = {"node_key": ed25519_public(seed), "tenant": bytes([1]) * 16, "hash": os.urandom(32), "sequence": 41}
    v |= {"asked_by": f"user:{uuid_of(bytes([2]) * 16)}", "asked_at": NOW, "erased_at": NOW + 600_000}
    v |= {"erased": "users=3 vaults=3 containers=2 containers_left_to_their_hosts=0"}
    v["text"] = deletion_text(v, v)
    return shown(v | {"signature": sign(seed, b"tenant deletion", v["text"].encode())})


def open_deletion(values):
    v = Fields(values)
    need(values["text"] == deletion_text(v, values))
    verify(v["node_key"], b"tenant deletion", values["text"].encode(), v["signature"])


# ---- conversations that were exported, and codes of sign-in


def conversation_key(stretch, passphrase):
    reader = Reader(stretch)
    costs = reader.number(4), reader.number(4), reader.number(4)
    salt = reader.var(64)
    reader.done()
    return argon2id(normalised(passphrase), *costs, salt)


def make_conversation():
    stretch = b"".join(u32(cost) for cost in COSTS) + var(os.urandom(16))
    tenant, export = bytes([1]) * 16, bytes([2]) * 16
    what = {"conversation": uuid_of(bytes([3]) * 16), "first_sequence": 5, "finished": True}
    said = [b"hello", "caf\u00e9".encode()]
    texts = [json.dumps(what).encode(), *said, b""]
    records = make_transcript(tenant + export, 1, conversation_key(stretch, PASSPHRASE), texts)
    first = {"format": "ocmt conversation export 1", "tenant": uuid_of(tenant), "export": uuid_of(export)}
    lines = [first | {"stretch": stretch.hex()}] + [{"record": base64_of(record)} for record in records]
    lines = "".join(json.dumps(line) + "\n" for line in lines)
    return {"passphrase": PASSPHRASE, "said": [text.hex() for text in said], "file": lines} | what


def open_conversation(values):
    first, *lines = [json.loads(line) for line in values["file"].splitlines()]
    need(first.keys() == {"format", "tenant", "export", "stretch"} and first["format"] == "ocmt conversation export 1")
    place = uuid.UUID(first["tenant"]).bytes + uuid.UUID(first["export"]).bytes
    need(all(line.keys() == {"record"} for line in lines))
    records = [base64.b64decode(line["record"], validate=True) for line in lines]
    key = conversation_key(bytes.fromhex(first["stretch"]), values["passphrase"])
    (what, *said, end), finished = read_transcript(place, {1: key}, records)
    need(finished and end == b"" and [text.hex() for text in said] == values["said"])
    need(json.loads(what) == {name: values[name] for name in ("conversation", "first_sequence", "finished")})


def make_code():
    code = os.urandom(15)
    letters = base64.b32encode(code).decode()
    text = "-".join(letters[at : at + 4] for at in range(0, 24, 4))
    return {"text": text, "at_rest": sha256(b"OCMT backup code v1\0", code).hex()}


def open_code(values):
    code = base64.b32decode(values["text"].replace("-", ""))
    need(len(code) == 15 and sha256(b"OCMT backup code v1\0", code).hex() == values["at_rest"])


# ---- all of it

PARTS = {
    "snapshot": (make_snapshot, open_snapshot),
    "sealed_volume": (make_sealed_volume, open_sealed_volume),
    "scheduled": (lambda: shown(make_schedule(NOW)), lambda values: open_schedule(Fields(values), values)),
    "policy": (make_policy, open_policy),
    "sealing": (make_sealing, open_sealing),
    "grant": (make_grant, open_grant),
    "proofs": (make_proofs, open_proofs),
    "notes": (make_notes, open_notes),
    "deletion": (make_deletion, open_deletion),
    "conversation": (make_conversation, open_conversation),
    "backup_code": (make_code, open_code),
}


def make_nodes():
    return {name: make() for name, (make, _) in PARTS.items()}


def open_nodes(values):
    """Opens the parts that are there, and says how many."""
    parts = [name for name in values if name != "about"]
    for name in parts:
        PARTS[name][1](values[name])
    return len(parts)
