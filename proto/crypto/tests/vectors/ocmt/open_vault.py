#!/usr/bin/env python3
"""Opens vault.json with nothing but docs/formats.md and the `cryptography` package.

A second implementation, kept so that the document is known to be enough. Run by hand:
python3 proto/crypto/tests/vectors/ocmt/open_vault.py
"""

import hashlib
import hmac
import json
import pathlib
import struct
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ALL = json.loads((pathlib.Path(__file__).parent / "vault.json").read_text())
SCOPE = uuid.UUID(ALL["scope"]["tenant"]).bytes + uuid.UUID(ALL["scope"]["vault"]).bytes


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def expand(prk, info, length=32):
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = mac(prk, block + info + bytes([i]))
        out, i = out + block, i + 1
    return out[:length]


def var(data):
    return struct.pack(">I", len(data)) + data


class Reader:
    def __init__(self, data, kind=None):
        self.data, self.at = data, 0
        if kind is not None:
            assert self.take(6) == b"OCMT" + bytes([kind, 1])

    def take(self, n):
        out = self.data[self.at : self.at + n]
        assert len(out) == n
        self.at += n
        return out

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def var(self):
        return self.take(self.number(4))

    def done(self):
        assert self.at == len(self.data)


def open_envelope(kind, key, context, sealed):
    head = Reader(sealed, kind)
    assert head.take(2) == b"\x01\x00", "AES-256-GCM, then zero"
    epoch, nonce = head.number(4), head.take(12)
    return epoch, AESGCM(key).decrypt(nonce, sealed[head.at :], sealed[: head.at] + context)


def open_box(secret, info, aad, sealed):
    """HPKE base mode, RFC 9180 sections 4.1 and 5.1."""
    assert sealed[0] == 1
    enc, ciphertext = sealed[1:33], sealed[33:]
    private = X25519PrivateKey.from_private_bytes(secret)
    public = private.public_key().public_bytes_raw()
    kem, suite = b"KEM" + struct.pack(">H", 0x20), b"HPKE" + struct.pack(">HHH", 0x20, 1, 2)

    def extract(suite, salt, label, ikm):
        return mac(salt or bytes(32), b"HPKE-v1" + suite + label + ikm)

    def labeled_expand(suite, prk, label, info, length):
        return expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info, length)

    dh = private.exchange(X25519PublicKey.from_public_bytes(enc))
    shared = labeled_expand(kem, extract(kem, b"", b"eae_prk", dh), b"shared_secret", enc + public, 32)
    context = b"\x00" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    key = labeled_expand(suite, secret, b"key", context, 32)
    nonce = labeled_expand(suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, aad)


def verify(key, purpose, message, signature):
    signed = b"OCMT " + purpose + b" v1\x00" + message
    Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)


def open_slot(slot, secrets, pinned_by_member):
    """Returns (id, kind, public, epoch, pinned verify key, vault key)."""
    r = Reader(slot, 0x10)
    slot_id, kind = r.take(16), r.number(1)
    lock_at = r.at
    challenge = r.take(32) if kind == 3 else None
    assert challenge in (None, bytes([0x55] * 32))
    stretch = (r.number(4), r.number(4), r.number(4), r.var()) if kind <= 3 else None
    salt = r.take(32) if kind == 4 else bytes(32)
    lock = slot[lock_at : r.at]
    public, half, epoch, sealed, signature = r.take(32), r.var(), r.number(4), r.var(), r.take(64)
    r.done()
    secret, place = secrets[kind], SCOPE + slot_id + bytes([kind])
    if stretch:
        memory, passes, lanes, argon_salt = stretch
        secret = Argon2id(
            salt=argon_salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory
        ).derive(secret)
    if kind == 5:
        private, pinned = secret, pinned_by_member
    else:
        lock_key = expand(mac(salt, secret), b"OCMT slot lock v1\x00" + place)
        _, plain = open_envelope(3, lock_key, place + lock + public, half)
        private, pinned = plain[:32], plain[32:]
    assert X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw() == public
    vk = open_box(private, b"OCMT slot vault key v1\x00" + place, struct.pack(">I", epoch), sealed)
    return slot_id, kind, public, epoch, pinned, vk, lambda key: verify(key, b"key slot", SCOPE + slot[:-64], signature)


def root(hashes):
    if not hashes:
        return sha256()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01", root(hashes[:split]), root(hashes[split:]))


def open_state(state, secrets, first_key):
    present = first_key
    for link in map(bytes.fromhex, state["successions"]):
        r = Reader(link, 0x12)
        epoch, old, new, signature = r.take(4), r.take(32), r.take(32), r.take(64)
        assert old == present
        verify(old, b"succession", SCOPE + epoch + old + new, signature)
        present = new
    assert present.hex() == state["verify_key"]

    manifest = bytes.fromhex(state["manifest"])
    verify(present, b"manifest", SCOPE + manifest[:-64], manifest[-64:])
    r = Reader(manifest, 0x11)
    counter, epoch, count, tree = r.number(8), r.number(4), r.number(4), r.take(32)
    proven = [(r.take(16), r.number(1), r.take(32)) for _ in range(r.number(4))]
    hosts = [(r.take(16), r.take(16)) for _ in range(r.number(4))]
    anchors = [(r.take(16), r.number(8), r.take(16)) for _ in range(r.number(4))]
    assert (counter, epoch, len(hosts), len(anchors), r.at) == (
        state["counter"], state["epoch"], 1, 1, len(manifest) - 64)

    slots = [open_slot(bytes.fromhex(s["slot"]), secrets, first_key) for s in state["slots"]]
    assert sorted(s[:3] for s in slots) == proven
    for *_, slot_epoch, pinned, vk, check in slots:
        check(present)
        assert slot_epoch == epoch and pinned == first_key and vk.hex() == state["vault_key"]
    vk = slots[0][5]

    leaves, plain = [], {}
    for one in state["objects"]:
        r = Reader(bytes.fromhex(one["object"]), 0x17)
        object_id, version, wrapped, body = r.take(32), r.take(8), r.var(), r.var()
        r.done()
        place = SCOPE + object_id + version
        wrapped_epoch, data_key = open_envelope(2, vk, place, wrapped)
        assert wrapped_epoch == epoch
        plain[object_id] = open_envelope(1, data_key, place, body)[1]
        leaves.append(sha256(b"\x00", object_id, version, sha256(body)))
    assert len(leaves) == count and root(leaves) == tree

    keyring = Reader(plain[sha256(b"OCMT keyring v1")], 0x13)
    name_key, entries = keyring.take(32), {}
    for object_id, text in plain.items():
        if text[4] == 0x14:
            r = Reader(text, 0x14)
            name, _written = r.var(), r.number(8)
            times = [r.number(8) if r.number(1) else None for _ in range(2)]
            entries[name.decode()] = r.var().decode()
            r.done()
            assert object_id == mac(name_key, b"OCMT entry v1\x00" + name)
            assert times == [1_900_000_000_000, None]
    assert entries == {"API_KEY": "first value", "café": "second value"}
    return len(slots), len(leaves)


def main():
    v = ALL["vault"]
    secrets = {
        1: v["secrets"]["passphrase"].encode(),
        2: bytes.fromhex(v["secrets"]["backup"]),
        3: bytes.fromhex(v["secrets"]["hardware_answer"]),
        4: bytes.fromhex(v["secrets"]["recovery"]),
        5: bytes.fromhex(v["secrets"]["member"]),
    }
    first_key = bytes.fromhex(v["made"]["verify_key"])
    for name in ("made", "rotated"):
        slots, objects = open_state(v[name], secrets, first_key)
        print(f"{name}: {slots} slots and {objects} objects opened and checked")
    s = ALL["stretch"]
    derived = Argon2id(salt=bytes.fromhex(s["salt"]), length=32, iterations=s["passes"], lanes=s["lanes"],
                       memory_cost=s["memory_kib"]).derive(bytes.fromhex(s["normalised"]))
    assert derived.hex() == s["key"]
    print("stretch: agrees")


if __name__ == "__main__":
    main()
