"""Opens every vector of cell-and-recovery.json, as `main.py vectors` does for the rest.

Written from docs/formats-cell-and-recovery.md and the RFCs alone, in another language and on another
library, to show that the document suffices.
"""

import hashlib
import json
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import primitives
from primitives import ed25519_public, expand, mac, need, var, x25519, x25519_public
from primitives import open_box as unseal
from primitives import verify as verify_raw

WORDS = []


# ---- what the formats stand on


def derive(key, label):
    return expand(mac(bytes(32), key), label, 32)


def verify(key, purpose, signed):
    """Checks the signature at the end of an object and returns what is before it."""
    verify_raw(key, purpose, signed[:-64], signed[-64:])
    return signed[:-64]


def check_mac(key, tagged):
    assert mac(key, tagged[:-32]) == tagged[-32:]
    return tagged[:-32]


class Hpke:
    """The receiver of RFC 9180 with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM."""

    KEM = b"KEM\x00\x20"
    SUITE = b"HPKE\x00\x20\x00\x01\x00\x02"

    def __init__(self, secret, enc, info, sender=None):
        dh, context = x25519(secret, enc), enc + x25519_public(secret)
        if sender is not None:
            dh, context = dh + x25519(secret, sender), context + sender
        eae = self.extract(self.KEM, b"", b"eae_prk", dh)
        shared = self.expand(self.KEM, eae, b"shared_secret", context, 32)
        schedule = bytes([0 if sender is None else 2])
        schedule += self.extract(self.SUITE, b"", b"psk_id_hash", b"")
        schedule += self.extract(self.SUITE, b"", b"info_hash", info)
        prk = self.extract(self.SUITE, shared, b"secret", b"")
        self.key = self.expand(self.SUITE, prk, b"key", schedule, 32)
        self.nonce = self.expand(self.SUITE, prk, b"base_nonce", schedule, 12)
        self.exporter = self.expand(self.SUITE, prk, b"exp", schedule, 32)

    @staticmethod
    def extract(suite, salt, label, ikm):
        return mac(salt or bytes(32), b"HPKE-v1" + suite + label + ikm)

    @staticmethod
    def expand(suite, prk, label, info, length):
        return expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info, length)

    def open_first(self, ciphertext, aad):
        return AESGCM(self.key).decrypt(self.nonce, ciphertext, aad)

    def export(self, context):
        return self.expand(self.SUITE, self.exporter, b"sec", context, 32)


def gf_multiply(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return product


def gf_inverse(a):
    power = 1
    for _ in range(254):
        power = gf_multiply(power, a)
    return power


def interpolate(shares):
    """The values at 0 of the polynomials through `shares`, a map from x to 32 bytes."""
    secret = bytearray(32)
    for x, y in shares.items():
        weight = 1
        for other in shares:
            if other != x:
                weight = gf_multiply(weight, gf_multiply(other, gf_inverse(other ^ x)))
        for at in range(32):
            secret[at] ^= gf_multiply(weight, y[at])
    return bytes(secret)


class Reader(primitives.Reader):
    """The same with lists and options, which the formats of this page have."""

    def var(self, most=1 << 20):
        return super().var(most)

    def list(self, item):
        return [item() for _ in range(self.number(4))]

    def option(self, item):
        return item() if (False, True)[self.number(1)] else None

    def end(self):
        self.done()


def open_envelope(kind, epoch, key, context, envelope):
    named, plaintext = primitives.open_envelope(kind, key, context, envelope)
    need(named == epoch)
    return plaintext


class Vectors:
    def __init__(self, values):
        self.values = values

    def __getitem__(self, field):
        return bytes.fromhex(self.values[field])

    def list(self, field):
        return [bytes.fromhex(item) for item in self.values[field]]


# ---- the formats


def cell(values):
    v = Vectors(values)
    token = derive(v["start_secret"], b"OCMT cell v1 control token")
    assert token.hex() == values["control_token"]

    offer = check_mac(derive(v["start_secret"], b"OCMT cell v1 key offer"), v["offer"])
    r = Reader(offer, 0x25)
    assert (r.take(16), r.take(16), r.number(8)) == (v["tenant"], v["container"], 3)
    assert (r.take(32), r.number(8)) == (v["boot_nonce"], values["expires"])
    assert r.take(32) == x25519_public(v["cell_secret_key"]) and r.option(lambda: r.take(16)) is None
    r.end()
    statement = verify(v["node_verify_key"], b"cell key", v["statement"])
    assert statement == b"OCMT\x20\x01" + offer[6:] + v["node"]

    stated = check_mac(derive(v["start_secret"], b"OCMT cell v1 gateway keys"), v["gateway_keys"])
    r = Reader(stated, 0x29)
    assert (r.take(16), r.take(16), r.number(8)) == (v["tenant"], v["container"], 3)
    assert (r.number(8), r.take(32)) == (1_800_000_000_000, bytes([0x31]) * 32)
    assert r.option(lambda: (r.take(32), r.number(8))) == (bytes([0x32]) * 32, 1_800_000_060_000)
    r.end()

    info = b"OCMT unlock v1" + v["tenant"] + v["container"] + struct.pack(">Q", 3) + v["boot_nonce"]
    payload = unseal(v["cell_secret_key"], info, b"", v["sealed_payload"])
    assert payload == v["payload"]
    r = Reader(payload, 0x21)
    unlock, vault = r.take(16), r.take(16)
    entries = r.list(lambda: (r.var(), r.take(32), r.number(8), r.take(32)))
    assert [entry[0] for entry in entries] == [b"API_KEY", b"_token2"]
    assert len(r.list(lambda: (r.take(16), r.number(4), r.take(32)))) == 1
    assert r.option(lambda: r.take(32)) is not None
    _inbox, unlock_key, _channel = r.take(32), r.take(32), r.take(32)
    _counter, _root, lease, start = r.number(8), r.take(32), r.number(8), r.number(1)
    r.end()
    assert (unlock_key, lease, start) == (v["unlock_key"], 60_000, 1)

    writes = v["payload_that_writes"]
    assert (writes[:6], writes[6 : len(payload)]) == (b"OCMT\x21\x02", payload[6:])
    r = Reader(writes[len(payload) :])
    names = r.list(r.var)
    r.end()
    assert names == [b"oauth/calendar", "caf\u00e9".encode()]

    goes_on = v["payload_that_continues"]
    assert (goes_on[:6], goes_on[6 : len(payload)]) == (b"OCMT\x21\x03", payload[6:])
    r = Reader(goes_on[len(payload) :])
    assert r.list(r.var) == []
    places = r.list(lambda: (r.take(16), r.number(8), r.take(16), r.take(16)))
    r.end()
    assert places == [(b"\x22" * 16, 5, b"\x09" * 16, b"\x08" * 16)]
    opens = v["payload_with_volume"]
    assert (opens[:6], opens[6 : len(payload)]) == (b"OCMT\x21\x04", payload[6:])
    r = Reader(opens[len(payload) :])
    assert (r.list(r.var), r.list(lambda: r.take(64))) == ([], [])
    assert (r.number(8), r.number(8)) == (9, 8), "serial, and the least that is taken"
    volume_keys = [(r.number(4), r.take(32))]
    volume_keys += r.list(lambda: (r.number(4), r.take(32)))
    r.end()
    assert volume_keys == [(4, b"\x42" * 32), (1, b"\x41" * 32)]
    assert v["new_conversation"] == b"\x23" * 16 + b"\x29" * 32

    r = Reader(v["ledger"], 0x18)
    assert r.number(4) == 1 and r.take(16) == unlock and r.take(16) == v["container"]
    assert r.take(32) == x25519_public(v["inbox_secret_key"])
    r.number(8)
    filed = r.list(lambda: (r.var(), r.option(lambda: r.number(8))))
    assert filed == [(names[0], 4), (names[1], None)]
    assert (r.number(8), r.list(lambda: r.number(8))) == (2, [4])
    r.end()

    r = Reader(check_mac(derive(unlock_key, b"OCMT unlock v1 lease"), v["extension"]), 0x22)
    assert (r.take(16), r.number(8), r.number(8), r.number(8)) == (unlock, 9, 120_000, values["expires"])
    r.end()
    provider, url = values["provider"].encode(), values["authorization_url"].encode()
    offered = b"OCMT\x23\x01" + unlock + v["authorization"] + var(provider) + var(url)
    assert v["authorization_proof"] == mac(derive(unlock_key, b"OCMT unlock v1 authorization offer"), offered)
    context = b"OCMT authorization answer v1" + unlock + v["authorization"] + var(provider)
    answer_key = derive(unlock_key, b"OCMT unlock v1 authorization answer")
    r = Reader(open_envelope(7, 0, answer_key, context, v["authorization_answer"]))
    assert r.var() == values["authorization_code"].encode()
    assert r.option(r.var) == values["authorization_issuer"].encode()
    r.end()

    r = Reader(check_mac(derive(unlock_key, b"OCMT unlock v1 inbox"), v["inbox_item"]), 0x06)
    assert (r.take(16), r.take(16), r.take(16), r.number(8)) == (v["tenant"], vault, unlock, 1)
    before = r.data[: r.at]
    item = Reader(unseal(v["inbox_secret_key"], b"OCMT inbox v1", before, r.var()))
    r.end()
    assert (item.var(), item.var()) == (values["inbox_name"].encode(), v["inbox_value"])
    item.end()

    context = b"OCMT sealing v1\0" + var(values["sealing_purpose"].encode()) + var(v["sealing_row"])
    assert open_envelope(5, 6, v["sealing_key"], context, v["wrapped"]) == v["wrapped_secret"]


def channel(values):
    v = Vectors(values)
    hello, channel_id, fresh = v["hello"], v["channel"], v["fresh"]
    assert hello[:20] == b"\x01\x01\x01\x00" + channel_id
    info = b"OCMT channel v1" + v["tenant"] + v["container"] + struct.pack(">Q", 3) + v["unlock"] + channel_id
    hpke = Hpke(v["cell_secret_key"], hello[20:52], info, sender=v["user_public_key"])
    r = Reader(hpke.open_first(hello[52:], hello[:20]))
    assert (r.number(1), r.number(1), r.list(r.var)) == (2, 1, [b"tail", b"-f", b"notes"])
    r.end()

    hashed = hashlib.sha256(hello).digest()
    transcript = hashlib.sha256(b"OCMT channel v1 transcript" + hashed + fresh).digest()
    prk = mac(transcript, hpke.export(b"OCMT channel v1 exporter") + fresh)

    def key(label):
        return expand(prk, b"OCMT channel v1 " + label, 32)

    def record(sender, counter, frame):
        assert frame[:9] == b"\x04" + struct.pack(">Q", counter)
        return AESGCM(key(sender)).decrypt(bytes(4) + frame[1:9], frame[9:], frame[:9] + channel_id)

    def progress(kind, sender, attempt, following):
        body = bytes([kind]) + channel_id + struct.pack(">QQ", attempt, following)
        return body + mac(key(sender), body)

    assert v["accept"] == b"\x02" + channel_id + fresh + mac(key(b"cell confirm"), transcript)
    assert v["confirm"] == b"\x03" + channel_id + mac(key(b"client confirm"), transcript)
    said = [record(b"client record", n, frame) for n, frame in enumerate(v.list("from_client"))]
    assert said == [b"\x03" + struct.pack(">HH", 24, 80), b"\x00\x00hello", b"\x01"]
    answered = [record(b"cell record", n, frame) for n, frame in enumerate(v.list("from_cell"))]
    assert answered == [b"\x00\x00hello", b"\x02" + bytes(4), b"\x04\x00"]
    assert v["resume_after_the_first_record"] == progress(6, b"client control", 1, 0)
    assert v["resumed"] == progress(7, b"cell control", 1, 1)
    assert v["ack_of_the_close"] == progress(5, b"client control", 1, 3)


def transcript(values):
    v = Vectors(values)
    before = bytes(16)
    for n, (record, said) in enumerate(zip(v.list("records"), v.list("said"))):
        final, envelope, epoch = record[:1], record[1:], 1 if n < 2 else 2
        assert final == (b"\x01" if n == 2 else b"\x00")
        context = v["tenant"] + v["conversation"] + struct.pack(">Q", n) + before + final
        assert open_envelope(4, epoch, v[f"key_of_epoch_{epoch}"], context, envelope) == said
        before = envelope[-16:]
        if n == 1:
            assert before == v["tag_after_two_records"]


class GuardianSet:
    def __init__(self, signed, owner):
        body = verify(owner, b"guardian set", signed)
        self.hash = hashlib.sha256(b"OCMT guardian set v1\0" + body).digest()
        r = Reader(body, 0x30)
        self.id, self.tenant, self.vault = r.take(16), r.take(16), r.take(16)
        assert r.take(64)[:32] == owner
        self.k, self.delays, _dealt_at = r.number(1), [r.number(8) for _ in range(4)], r.number(8)
        self.guardians = r.list(lambda: (r.take(16), r.take(32), r.take(32), r.number(1)))
        self.units = r.list(lambda: (r.take(32), r.take(32)))
        r.end()
        assert sum(guardian[3] for guardian in self.guardians) == len(self.units)

    def read_unit(self, r):
        """Set to blind, as in a unit and in what an approval releases; checked against the commitment."""
        assert (r.take(16), r.take(16)) == (self.id, self.vault)
        x, k, n, share, blind = r.number(1), r.number(1), r.number(1), r.take(32), r.take(32)
        assert (k, n) == (self.k, len(self.units))
        hashed = b"OCMT share commitment v1\0" + self.id + self.vault + bytes([x]) + share + blind
        assert hashlib.sha256(hashed).digest() == self.units[x - 1][0]
        return x, share


def recovery(values):
    v = Vectors(values)
    owner = v["owner_verify_key"]
    chosen = GuardianSet(v["set"], owner)
    assert chosen.hash == v["set_hash"]
    name = hashlib.sha256(b"OCMT ceremony v1\0" + v["ceremony"]).digest()
    assert name == v["ceremony_hash"]
    r = Reader(v["ceremony"], 0x32)
    _nonce, tenant, vault, set_id, set_hash = r.take(32), r.take(16), r.take(16), r.take(16), r.take(32)
    assert (tenant, vault, set_id, set_hash) == (chosen.tenant, chosen.vault, chosen.id, chosen.hash)
    assert (r.take(32), r.number(1)) == (x25519_public(v["requester_secret_key"]), 1)
    opened, delay, expires = r.number(8), r.number(8), r.number(8)
    assert delay >= chosen.delays[1] and expires > opened + delay and r.option(lambda: r.take(32)) is None
    r.end()
    release = x25519_public(v["release_secret_key"])
    statement = verify(v["node_verify_key"], b"release key", v["release_statement"])
    assert statement == b"OCMT\x33\x01" + name + release + v["node"]

    shares, first = {}, 1
    for (_, identity, _, weight), guardian in zip(chosen.guardians, values["guardians"]):
        own = list(range(first, first + weight))
        first += weight
        shares.update(approved(v, chosen, name, release, identity, own, Vectors(guardian)))
    for xs in ((1, 2, 3), (1, 3, 5), (2, 4, 5)):
        assert interpolate({x: shares[x] for x in xs}) == v["recovery_key"]

    said_at = struct.pack(">q", values["now"])
    for field, verdict, purpose, signer in (
        ("lock_by_the_first_guardian", 2, b"ceremony lock", chosen.guardians[0][1]),
        ("veto", 4, b"ceremony veto", owner),
    ):
        assert verify(signer, purpose, v[field]) == b"OCMT\x35\x01" + bytes([verdict]) + name + said_at + signer
    lost = values["lost_mailbox"]
    subject = hashlib.sha256(b"OCMT lost mailbox v1\0" + lost["address"].encode()).hexdigest()
    assert subject == lost["subject"]
    challenge, answer = v["drill_challenge"], v["drill_answer_of_unit_1"]
    assert challenge[:22] == b"OCMT\x37\x01" + chosen.id and answer[:7] == b"OCMT\x36\x01\x01"
    verify_raw(chosen.units[0][1], b"drill answer", challenge + b"\x01", answer[7:])
    assert words(name) == values["ceremony_words"]


def approved(v, chosen, name, release, identity, own, guardian):
    """Opens a guardian's units and approval, and returns the shares that it released."""
    assert ed25519_public(guardian["identity_seed"]) == identity
    info, aad = b"OCMT guardian units v1", chosen.hash + identity
    r = Reader(unseal(guardian["sealing_secret_key"], info, aad, guardian["sealed_units"]))
    for x in r.list(lambda: kept(r, chosen)):
        assert x in own
    r.end()

    r = Reader(verify(identity, b"approval", guardian["approval"]), 0x34)
    assert (r.take(32), r.take(32), r.take(32), list(r.var())) == (name, release, identity, own)
    before = r.data[: r.at]
    inner = unseal(v["release_secret_key"], b"OCMT approval outer v1", before, r.var())
    r.end()
    r = Reader(unseal(v["requester_secret_key"], b"OCMT approval inner v1", name + identity, inner), 0x38)
    released = r.list(lambda: chosen.read_unit(r))
    r.end()
    assert [x for x, _ in released] == own
    return released


def kept(r, chosen):
    assert r.take(6) == b"OCMT\x31\x01"
    x, _share = chosen.read_unit(r)
    assert ed25519_public(r.take(32)) == chosen.units[x - 1][1]
    return x


def shared(values):
    v = Vectors(values)
    scope = v["tenant"] + v["vault"]
    basis = scope + v["object"] + struct.pack(">Q", values["version"]) + v["body_hash"]
    inbox = x25519_public(v["inbox_secret_key"])
    grant = verify(v["giver_verify_key"], b"write grant", v["write_grant"])
    assert grant == b"OCMT\x19\x01" + v["share"] + basis + b"\x03" + inbox + v["taker_verify_key"]

    for field, sequence, act in (("shared_write", values["sequence"], 1), ("shared_delete", values["sequence"] + 1, 2)):
        r = Reader(verify(v["taker_verify_key"], b"shared write", v[field]), 0x09)
        assert (r.take(16), r.take(len(basis)), r.number(8), r.number(1)) == (v["share"], basis, sequence, act)
        before, sealed = r.data[: r.at], r.var()
        r.end()
        if act == 1:
            assert unseal(v["inbox_secret_key"], b"OCMT shared write v1", before, sealed) == v["value"]
        else:
            assert sealed == b""

    # version 2: no share that reads too, and so no byte that says it
    version = v["ledger"][5]
    assert version in (2, 3)
    r = Reader(v["ledger"], 0x18, version)
    assert (r.number(4), r.number(4)) == (0, 1)
    assert (r.take(16), r.take(32), r.number(1)) == (v["share"], v["object"], 3)
    assert version == 2 or r.number(1) == 1
    assert (r.take(32), r.take(32), r.take(32)) == (v["taker_verify_key"], v["taker_sealing_key"], inbox)
    assert (r.number(8), r.option(lambda: r.number(8))) == (values["given_at"], values["expires_at"])
    assert r.number(8) == 2
    r.end()


def words(name):
    stretched = primitives.argon2id(name, 64 * 1024, 3, 4, b"OCMT ceremony w1")
    bits = int.from_bytes(stretched, "big") >> 256 - 66
    return [WORDS[bits >> 11 * (5 - word) & 0x7FF] for word in range(6)]


def open_vectors(folder):
    """Opens all, and says how many parts there are."""
    WORDS[:] = (folder.parents[2] / "src" / "words" / "english.txt").read_text().split()
    vectors = json.loads((folder / "cell-and-recovery.json").read_text())
    for part in (cell, channel, transcript, recovery, shared):
        part(vectors[part.__name__])
    return len(vectors) - 1
