"""Snapshots by schedule, both ways: what their user signs, what a host hands its cell and signs itself, and the key that the
cell seals. From docs/formats-cell-and-recovery.md alone."""

import os

from primitives import (
    Reader, ed25519_public, head, hkdf, i64, mac, need, open_box, seal_box, sha256, sign, u64, var, verify, x25519_public,
)


def schedule_secret(v):
    label = b"OCMT volume key v1 snapshot schedule" + v["tenant"] + v["vault"] + v["container"]
    return hkdf(bytes(32), v["volume_key"], label)


def key_info(v):
    return b"OCMT scheduled snapshot v1" + v["tenant"] + v["container"] + v["snapshot"]


def schedule_body(v, values):
    times = var(values["cron"].encode()) + var(values["time_zone"].encode()) + values["keep"].to_bytes(2, "big")
    whose = head(0x2A) + v["tenant"] + v["user"] + v["container"] + u64(values["number"])
    return whose + times + x25519_public(schedule_secret(v)) + u64(values["version"])


def order_body(v, values):
    place = v["tenant"] + v["container"] + u64(values["generation"])
    return head(0x2B) + place + v["snapshot"] + v["identity"] + var(v["schedule"])


def order_tag(v, values):
    return mac(hkdf(bytes(32), v["start_secret"], b"OCMT cell v1 schedule order"), order_body(v, values))


def taken_body(v, values):
    what = v["tenant"] + v["container"] + u64(values["generation"]) + v["snapshot"] + u64(values["size"])
    return head(0x2D) + what + v["content_hash"] + sha256(v["sealed_key"]) + i64(values["taken_at"]) + v["node"]


def make_schedule(now):
    names = "tenant", "vault", "user", "container", "snapshot", "node"
    v = {name: bytes([at + 1]) * 16 for at, name in enumerate(names)}
    v |= {name: os.urandom(32) for name in ("volume_key", "start_secret", "content_hash", "key")}
    seed, host = os.urandom(32), os.urandom(32)
    v |= {"identity": ed25519_public(seed), "node_key": ed25519_public(host)}
    v |= {"number": now, "cron": "30 3 * * 1-5", "time_zone": "Europe/Vienna", "keep": 7, "version": 5}
    v |= {"generation": 3, "size": 262_173, "taken_at": now}
    body = schedule_body(v, v)
    v["schedule"] = body + sign(seed, b"snapshot schedule", body)
    v["order"] = order_body(v, v) + order_tag(v, v)
    named = head(0x2C) + u64(5)
    v["sealed_key"] = named + seal_box(x25519_public(schedule_secret(v)), key_info(v), named, v["key"])
    body = taken_body(v, v)
    v["taken"] = body + sign(host, b"snapshot taken", body)
    return v


def open_schedule(v, values):
    """`v` gives fields as bytes, `values` as they are."""
    body, signature = v["schedule"][:-64], v["schedule"][-64:]
    verify(v["identity"], b"snapshot schedule", body, signature)
    need(body == schedule_body(v, values))
    need(1 <= len(values["cron"]) <= 100 and 1 <= len(values["time_zone"]) <= 64 and 1 <= values["keep"] <= 100)
    need(v["order"] == order_body(v, values) + order_tag(v, values))
    named, box = v["sealed_key"][:14], v["sealed_key"][14:]
    reader = Reader(named, 0x2C)
    need(reader.number(8) == values["version"])
    reader.done()
    need(open_box(schedule_secret(v), key_info(v), named, box) == v["key"])
    body, signature = v["taken"][:-64], v["taken"][-64:]
    verify(v["node_key"], b"snapshot taken", body, signature)
    need(body == taken_body(v, values))
