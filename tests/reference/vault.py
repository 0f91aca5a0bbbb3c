"""A vault with all that is in it, both ways, from docs/formats.md."""

import os
import unicodedata

from primitives import (
    Reader, argon2id, ed25519_public, envelope, head, hkdf, i64, mac, need, normalised, open_box, open_envelope, opt,
    seal_box, sha256, sign, u32, u64, var, verify, x25519_public,
)

KEYRING = sha256(b"OCMT keyring v1")
PASSPHRASE, BACKUP, HARDWARE, RECOVERY, MEMBER = 1, 2, 3, 4, 5


# ---- entries


def entry_plaintext(entry):
    times = [None if entry[at] is None else i64(entry[at]) for at in ("expires_at", "remind_at")]
    name = entry["name"].encode()
    return (
        head(0x14) + var(name) + i64(entry["written_at"]) + opt(times[0]) + opt(times[1])
        + var(bytes.fromhex(entry["value"]))
    )


def read_entry(plaintext, version):
    reader = Reader(plaintext, 0x14)
    name = reader.var(255).decode()
    need(name and unicodedata.is_normalized("NFC", name))
    need(not any(unicodedata.category(letter) == "Cc" for letter in name))
    entry = {"name": name, "version": version, "written_at": reader.time()}
    entry["expires_at"], entry["remind_at"] = reader.opt_time(), reader.opt_time()
    entry["value"] = reader.var(65_536).hex()
    reader.done()
    return entry


# ---- key slots


class Slot:
    """A slot as it is stored, and what its secret leads to."""

    def __init__(self, scope, stored):
        self.scope, self.stored = scope, stored
        reader = Reader(stored, 0x10)
        self.id, self.kind = reader.take(16), reader.number(1)
        need(PASSPHRASE <= self.kind <= MEMBER)
        lock_at = reader.at
        if self.kind == HARDWARE:
            reader.take(32)
        stretched = self.kind in (PASSPHRASE, BACKUP, HARDWARE)
        self.stretch = (reader.number(4), reader.number(4), reader.number(4), reader.var(64)) if stretched else None
        self.salt = reader.take(32) if self.kind == RECOVERY else bytes(32)
        self.lock = stored[lock_at : reader.at]
        self.public, self.half = reader.take(32), reader.var(104)
        self.epoch, self.sealed_key = reader.number(4), reader.var(81)
        self.signature = reader.take(64)
        reader.done()
        self.place = scope + self.id + bytes([self.kind])

    def unlock(self, secret):
        """Returns the verify key that was present when the half was locked, and the vault key. A member's slot
        has no half: its secret is the private key, and the key is pinned elsewhere."""
        private, pinned = secret, None
        if self.stretch:
            secret = argon2id(secret, *self.stretch)
        if self.kind != MEMBER:
            lock_key = hkdf(self.salt, secret, b"OCMT slot lock v1\0" + self.place)
            _, plain = open_envelope(0x03, lock_key, self.place + self.lock + self.public, self.half)
            private, pinned = plain[:32], plain[32:]
            need(len(pinned) == 32)
        need(x25519_public(private) == self.public)
        return pinned, open_box(private, vault_key_info(self.place), u32(self.epoch), self.sealed_key)

    def check(self, key):
        verify(key, b"key slot", self.scope + self.stored[:-64], self.signature)


def vault_key_info(place):
    return b"OCMT slot vault key v1\0" + place


def make_slot(scope, kind, secret, vault_key, epoch, signing):
    slot_id, private = os.urandom(16), os.urandom(32)
    public, place = x25519_public(private), scope + slot_id + bytes([kind])
    if kind == RECOVERY:
        salt = lock = os.urandom(32)
    else:
        costs, salt, argon_salt = (19 * 1024, 2, 1), bytes(32), os.urandom(16)
        lock = b"".join(map(u32, costs)) + var(argon_salt)
        secret = argon2id(secret, *costs, argon_salt)
    lock_key = hkdf(salt, secret, b"OCMT slot lock v1\0" + place)
    half = envelope(0x03, epoch, lock_key, place + lock + public, private + ed25519_public(signing))
    sealed = seal_box(public, vault_key_info(place), u32(epoch), vault_key)
    slot = head(0x10) + slot_id + bytes([kind]) + lock + public + var(half) + u32(epoch) + var(sealed)
    return slot + sign(signing, b"key slot", scope + slot), (slot_id, kind, public)


# ---- objects


def open_object(scope, vault_key, epoch, stored):
    """Returns object id, version, leaf and plaintext."""
    reader = Reader(stored, 0x17)
    object_id, version, wrapped, body = reader.take(32), reader.number(8), reader.var(256), reader.var(69_632)
    reader.done()
    place = scope + object_id + u64(version)
    wrapped_epoch, data_key = open_envelope(0x02, vault_key, place, wrapped)
    need(wrapped_epoch == epoch and len(data_key) == 32)
    _, plaintext = open_envelope(0x01, data_key, place, body)
    return object_id, version, leaf(object_id, version, body), plaintext


def make_object(scope, vault_key, epoch, object_id, version, plaintext):
    place, data_key = scope + object_id + u64(version), os.urandom(32)
    body = envelope(0x01, epoch, data_key, place, plaintext)
    wrapped = envelope(0x02, epoch, vault_key, place, data_key)
    stored = head(0x17) + object_id + u64(version) + var(wrapped) + var(body)
    return object_id, leaf(object_id, version, body), stored


def leaf(object_id, version, body):
    """The leaf of RFC 6962."""
    return sha256(b"\x00", object_id, u64(version), sha256(body))


def root(leaves):
    """The tree hash of RFC 6962."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01", root(leaves[:split]), root(leaves[split:]))


def entry_id(name_key, name):
    return mac(name_key, b"OCMT entry v1\0" + name.encode())


# ---- the whole


def follow(scope, successions, present):
    for link in successions:
        reader = Reader(link, 0x12)
        epoch, old, new, signature = reader.take(4), reader.take(32), reader.take(32), reader.take(64)
        reader.done()
        need(old == present)
        verify(old, b"succession", scope + epoch + old + new, signature)
        present = new
    return present


def read_manifest(scope, signed, key):
    verify(key, b"manifest", scope + signed[:-64], signed[-64:])
    reader = Reader(signed[:-64], 0x11)
    manifest = {"counter": reader.number(8), "epoch": reader.number(4), "objects": reader.number(4)}
    manifest["root"] = reader.take(32)
    manifest["slots"] = [(reader.take(16), reader.number(1), reader.take(32)) for _ in range(reader.number(4))]
    manifest["hosts"] = [(reader.take(16), reader.take(16)) for _ in range(reader.number(4))]
    manifest["anchors"] = [(reader.take(16), reader.number(8), reader.take(16)) for _ in range(reader.number(4))]
    reader.done()
    return manifest


def open_vault(scope, shown, secrets):
    """Opens what a node shows through every slot whose secret is known, as "Unlocking" says."""
    slots = [Slot(scope, stored) for stored in shown["slots"]]
    opened = [(slot, *slot.unlock(secrets[slot.kind])) for slot in slots if slot.kind in secrets]
    vault_key = opened[0][2]
    pinned = [pinned for _, pinned, _ in opened if pinned][0]
    present = follow(scope, shown["successions"], pinned)
    manifest = read_manifest(scope, shown["manifest"], present)
    for slot in slots:
        slot.check(present)
        need(slot.epoch == manifest["epoch"])
    need(all(one in (pinned, None) and key == vault_key for _, one, key in opened))
    need(sorted((slot.id, slot.kind, slot.public) for slot in slots) == manifest["slots"])
    objects = [open_object(scope, vault_key, manifest["epoch"], stored) for stored in shown["objects"]]
    objects.sort()
    need(len(objects) == manifest["objects"] and root([one[2] for one in objects]) == manifest["root"])
    (keyring,) = [Reader(one[3], 0x13) for one in objects if one[0] == KEYRING]
    name_key, signing = keyring.take(32), keyring.take(32)
    keyring.take(5 * 32)
    keyring.done()
    need(ed25519_public(signing) == present)
    entries = []
    for object_id, version, _, plaintext in objects:
        if plaintext[:6] == head(0x14):
            entries.append(read_entry(plaintext, version))
            need(object_id == entry_id(name_key, entries[-1]["name"]))
    entries.sort(key=lambda entry: entry["name"])
    return {"counter": manifest["counter"], "epoch": manifest["epoch"], "entries": entries, "slots": len(opened)}


def make_vault(scope, secrets, entries):
    """A new vault; entries at the versions they name."""
    vault_key, keys = os.urandom(32), [os.urandom(32) for _ in range(7)]
    name_key, signing = keys[:2]
    objects = [make_object(scope, vault_key, 1, KEYRING, 1, head(0x13) + b"".join(keys))]
    for entry in entries:
        name = entry_id(name_key, entry["name"])
        objects.append(make_object(scope, vault_key, 1, name, entry["version"], entry_plaintext(entry)))
    objects.sort()
    made = [make_slot(scope, kind, secret, vault_key, 1, signing) for kind, secret in secrets.items()]
    tree = root([one[1] for one in objects])
    manifest = head(0x11) + u64(1) + u32(1) + u32(len(objects)) + tree + u32(len(made))
    for slot_id, kind, public in sorted(fact for _, fact in made):
        manifest += slot_id + bytes([kind]) + public
    manifest += u32(0) + u32(0)
    return {
        "slots": [slot for slot, _ in made],
        "successions": [],
        "manifest": manifest + sign(signing, b"manifest", scope + manifest),
        "objects": [stored for _, _, stored in objects],
    }


def secrets_of(given):
    """Secrets by the kind of their slots, as bytes."""
    known = {}
    if "passphrase" in given:
        known[PASSPHRASE] = normalised(given["passphrase"])
    kinds = {"backup": BACKUP, "hardware_answer": HARDWARE, "recovery": RECOVERY, "member": MEMBER}
    for name, kind in kinds.items():
        if name in given:
            known[kind] = bytes.fromhex(given[name])
    return known


# ---- vaults of groups: what a member and an administrator sign of each other


def read_acceptance(member, data):
    body, signature = data[:-64], data[-64:]
    verify(member, b"group acceptance", body, signature)
    reader = Reader(body, 0x50)
    said = {"group": reader.take(16), "scope": reader.take(32)}
    said |= {name: reader.take(32) for name in ("member", "sealing", "admitter")}
    said["accepted_at"] = reader.time()
    reader.done()
    need(said["member"] == member)
    return said


def read_admission(admitter, data):
    body, signature = data[:-64], data[-64:]
    verify(admitter, b"group admission", body, signature)
    reader = Reader(body, 0x51)
    said = {"group": reader.take(16), "scope": reader.take(32)}
    said |= {name: reader.take(32) for name in ("member", "sealing", "verify_key", "identity")}
    there = reader.number(1)
    need(there in (0, 1))
    said["slot"] = reader.take(16) if there else None
    said["epoch"], said["admitted_at"] = reader.number(4), reader.time()
    reader.done()
    return said
