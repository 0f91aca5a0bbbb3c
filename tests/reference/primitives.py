"""What the formats stand on: RFCs on top of `cryptography`, and the notation of docs/formats.md.

Runs with Debian's python3-cryptography 38 and python3-argon2 as with newer ones from elsewhere.
"""

import hashlib
import hmac
import os
import struct
import unicodedata

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Refused(Exception):
    """Whatever is wrong with an object."""


def need(condition):
    """`assert` that no option of the interpreter takes away."""
    if not condition:
        raise Refused


# ---- hashes and derivation


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def expand(prk, info, length=32):
    """HKDF-Expand of RFC 5869."""
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = mac(prk, block + info + bytes([counter]))
        out, counter = out + block, counter + 1
    return out[:length]


def hkdf(salt, secret, info):
    return expand(mac(salt, secret), info)


def argon2id(secret, memory, passes, lanes, salt):
    need(19 * 1024 <= memory <= 1024 * 1024 and 2 <= passes <= 10)
    need(1 <= lanes <= 16 and 16 <= len(salt) <= 64)
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    except ImportError:
        from argon2.low_level import Type, hash_secret_raw

        return hash_secret_raw(secret, salt, passes, memory, lanes, 32, Type.ID, version=0x13)
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    return kdf.derive(secret)


def normalised(passphrase):
    text = unicodedata.normalize("NFC", passphrase).encode()
    need(1 <= len(text) <= 1024)
    return text


# ---- XChaCha20-Poly1305: draft-irtf-cfrg-xchacha, on the ChaCha20-Poly1305 of RFC 8439


def hchacha20(key, nonce):
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def turn(a, b, c, d):
        for first, second, third, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[first] = (state[first] + state[second]) & 0xFFFFFFFF
            mixed = state[third] ^ state[first]
            state[third] = (mixed << by | mixed >> 32 - by) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            turn(column, column + 4, column + 8, column + 12)
        for at in range(4):
            turn(at, (at + 1) % 4 + 4, (at + 2) % 4 + 8, (at + 3) % 4 + 12)
    return struct.pack("<8I", *state[:4], *state[12:])


def xchacha(key, nonce):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


# ---- keys


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519_public(secret):
    return raw(X25519PrivateKey.from_private_bytes(secret).public_key())


def x25519(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def ed25519_public(seed):
    return raw(Ed25519PrivateKey.from_private_bytes(seed).public_key())


def sign(seed, purpose, message):
    return sign_plain(seed, b"OCMT " + purpose + b" v1\0" + message)


def verify(key, purpose, message, signature):
    verify_plain(key, b"OCMT " + purpose + b" v1\0" + message, signature)


def sign_plain(seed, message):
    """Without a purpose: what a note's text says for itself."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def verify_plain(key, message, signature):
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


# ---- HPKE, RFC 9180: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one shot

KEM = b"KEM\x00\x20"
SUITE = b"HPKE\x00\x20\x00\x01\x00\x02"


def labeled_extract(suite, salt, label, ikm):
    return mac(salt or bytes(32), b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, length):
    return expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info, length)


def hpke_key(shared_point, enc, public, info):
    """Section 4.1 and 5.1: cipher and nonce of the first message."""
    prk = labeled_extract(KEM, b"", b"eae_prk", shared_point)
    shared = labeled_expand(KEM, prk, b"shared_secret", enc + public, 32)
    hashes = [labeled_extract(SUITE, b"", b"psk_id_hash", b""), labeled_extract(SUITE, b"", b"info_hash", info)]
    context = b"\x00" + b"".join(hashes)
    secret = labeled_extract(SUITE, shared, b"secret", b"")
    key = labeled_expand(SUITE, secret, b"key", context, 32)
    return AESGCM(key), labeled_expand(SUITE, secret, b"base_nonce", context, 12)


def seal_box(public, info, aad, message):
    ephemeral = os.urandom(32)
    enc = x25519_public(ephemeral)
    cipher, nonce = hpke_key(x25519(ephemeral, public), enc, public, info)
    return b"\x01" + enc + cipher.encrypt(nonce, message, aad)


def open_box(secret, info, aad, sealed):
    need(len(sealed) >= 49 and sealed[0] == 1)
    enc = sealed[1:33]
    cipher, nonce = hpke_key(x25519(secret, enc), enc, x25519_public(secret), info)
    return cipher.decrypt(nonce, sealed[33:], aad)


# ---- notation


def u32(number):
    return struct.pack(">I", number)


def u64(number):
    return struct.pack(">Q", number)


def i64(number):
    return struct.pack(">q", number)


def var(data):
    return u32(len(data)) + data


def opt(value):
    return b"\x00" if value is None else b"\x01" + value


def head(kind, version=1):
    return b"OCMT" + bytes([kind, version])


class Reader:
    """Reads what `head`, `var` and the others wrote, and refuses anything else."""

    def __init__(self, data, kind=None, version=1):
        self.data, self.at = data, 0
        if kind is not None:
            need(self.take(6) == head(kind, version))

    def take(self, count):
        need(0 <= count <= len(self.data) - self.at)
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def time(self):
        return int.from_bytes(self.take(8), "big", signed=True)

    def var(self, most):
        length = self.number(4)
        need(length <= most)
        return self.take(length)

    def opt_time(self):
        mark = self.number(1)
        need(mark <= 1)
        return self.time() if mark else None

    def done(self):
        need(self.at == len(self.data))


# ---- envelope

XCHACHA = 0x04


def envelope(kind, epoch, key, context, plaintext):
    alg, size = (2, 24) if kind == XCHACHA else (1, 12)
    before = head(kind) + bytes([alg, 0]) + u32(epoch) + os.urandom(size)
    cipher, nonce = xchacha(key, before[12:]) if alg == 2 else (AESGCM(key), before[12:])
    return before + cipher.encrypt(nonce, plaintext, before + context)


def open_envelope(kind, key, context, sealed):
    """Returns the epoch and the plaintext."""
    reader = Reader(sealed, kind)
    alg, size = (2, 24) if kind == XCHACHA else (1, 12)
    need(reader.take(2) == bytes([alg, 0]))
    epoch, nonce = reader.number(4), reader.take(size)
    before, ciphertext = sealed[: reader.at], sealed[reader.at :]
    need(len(ciphertext) >= 16)
    cipher, nonce = xchacha(key, nonce) if alg == 2 else (AESGCM(key), nonce)
    return epoch, cipher.decrypt(nonce, ciphertext, before + context)
