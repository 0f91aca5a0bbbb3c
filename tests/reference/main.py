#!/usr/bin/env python3
"""A second implementation of the formats, written from docs/formats.md and docs/formats-cell-and-recovery.md alone.

`main.py open` and `main.py seal` read JSON from standard input and answer in JSON; byte strings are hexadecimal.
`main.py open-nodes` and `main.py seal-nodes` do the same with what is beside vaults (nodes.py).
`main.py vectors FOLDER` opens the published vectors. A test of ocmt-crypto runs all of them.
"""

import json
import pathlib
import sys
import uuid

import cell_and_recovery
import nodes
from primitives import argon2id, need
from streams import make_export, make_transcript, read_export, read_transcript
from vault import make_vault, open_vault, read_acceptance, read_admission, secrets_of


def unhex(value):
    return [bytes.fromhex(one) for one in value]


def scope_of(given):
    return uuid.UUID(given["tenant"]).bytes + uuid.UUID(given["vault"]).bytes


def open_all(given):
    shown = {"manifest": bytes.fromhex(given["manifest"])}
    shown |= {name: unhex(given[name]) for name in ("slots", "successions", "objects")}
    talk = given["transcript"]
    keys = {int(epoch): bytes.fromhex(key) for epoch, key in talk["keys"].items()}
    said, finished = read_transcript(bytes.fromhex(talk["place"]), keys, unhex(talk["records"]))
    facts, entries, talks = read_export(bytes.fromhex(given["export"]["file"]), given["export"]["passphrase"])
    return {
        "vault": open_vault(scope_of(given), shown, secrets_of(given["secrets"])),
        "said": [text.hex() for text in said],
        "finished": finished,
        "export": facts | {"entries": entries, "conversations": talks},
    }


def seal_all(given):
    scope, entries = scope_of(given), given["entries"]
    made = make_vault(scope, secrets_of(given["secrets"]), entries)
    talk = given["transcript"]
    place, key = bytes.fromhex(talk["place"]), bytes.fromhex(talk["key"])
    records = make_transcript(place, talk["epoch"], key, unhex(talk["said"]))
    secret, talks = given["export"]["passphrase"], given["export"]["conversations"]
    about = scope, given["at"], given["counter"], secret
    exports = {"export": make_export(*about, entries, talks), "export_of_entries": make_export(*about, entries)}
    answer = {name: [one.hex() for one in made[name]] for name in ("slots", "objects")}
    answer |= {"manifest": made["manifest"].hex(), "records": [one.hex() for one in records]}
    return answer | {name: file.hex() for name, file in exports.items()}


def open_spoken(export):
    """The export with conversations: how many were in it."""
    facts, entries, talks = read_export(bytes.fromhex(export["file"]), export["passphrase"])
    need(entries == export["entries"] and facts["counter"] == export["counter"])
    for talk in talks:
        talk["id"] = str(uuid.UUID(talk["id"]))
        talk["container"] = talk["container"] and str(uuid.UUID(talk["container"]))
    need(talks == export["conversations"])
    return len(talks)


def open_vectors(folder):
    """The vault before and after its rotation, a stretch, the export, and all of cells, channels and recovery."""
    all_of = json.loads((folder / "vault.json").read_text())
    vault = all_of["vault"]
    secrets = secrets_of(vault["secrets"])
    opened = []
    for name in ("made", "rotated"):
        shown = {"manifest": bytes.fromhex(vault[name]["manifest"]), "successions": unhex(vault[name]["successions"])}
        shown["slots"] = [bytes.fromhex(one["slot"]) for one in vault[name]["slots"]]
        shown["objects"] = [bytes.fromhex(one["object"]) for one in vault[name]["objects"]]
        state = open_vault(scope_of(all_of["scope"]), shown, secrets)
        need((state["counter"], state["epoch"]) == (vault[name]["counter"], vault[name]["epoch"]))
        need(state["slots"] == 5)
        opened.append([entry["name"] for entry in state["entries"]])
    stretch = all_of["stretch"]
    costs = [stretch[name] for name in ("memory_kib", "passes", "lanes")]
    derived = argon2id(bytes.fromhex(stretch["normalised"]), *costs, bytes.fromhex(stretch["salt"]))
    need(derived.hex() == stretch["key"])
    words = all_of["group_words"]
    accepted = read_acceptance(bytes.fromhex(words["member"]), bytes.fromhex(words["acceptance"]))
    need(accepted["admitter"].hex() == words["admitter"] and accepted["scope"] == scope_of(all_of["scope"]))
    for name, slot in (("admission", words["slot"]), ("admission_without_slot", None)):
        admitted = read_admission(accepted["admitter"], bytes.fromhex(words[name]))
        need(all(admitted[at] == accepted[at] for at in ("group", "scope", "member", "sealing")))
        need((admitted["slot"] and admitted["slot"].hex(), admitted["epoch"]) == (slot, words["epoch"]))
        need(admitted["verify_key"].hex() == words["verify_key"] and admitted["identity"].hex() == words["identity"])
    talk = json.loads((folder / "cell-and-recovery.json").read_text())["transcript"]
    keys = {epoch: bytes.fromhex(talk[f"key_of_epoch_{epoch}"]) for epoch in (1, 2)}
    place = bytes.fromhex(talk["tenant"]) + bytes.fromhex(talk["conversation"])
    said, finished = read_transcript(place, keys, unhex(talk["records"]))
    need(finished and said == unhex(talk["said"]))
    export = json.loads((folder / "export.json").read_text())
    facts, entries, talks = read_export(bytes.fromhex(export["file"]), export["passphrase"])
    need(entries == export["entries"] and facts["counter"] == export["counter"] and not talks)
    spoken = open_spoken(json.loads((folder / "export-conversations.json").read_text()))
    parts = cell_and_recovery.open_vectors(folder)
    beside = nodes.open_nodes(json.loads((folder / "nodes.json").read_text()))
    told = {"vaults": opened, "said": len(said), "exported": len(entries), "spoken": spoken}
    return told | {"parts": parts, "beside": beside}


def main():
    what = sys.argv[1]
    if what == "vectors":
        answer = open_vectors(pathlib.Path(sys.argv[2]))
    elif what == "seal-nodes":
        answer = nodes.make_nodes()
    elif what == "open-nodes":
        answer = nodes.open_nodes(json.load(sys.stdin))
    else:
        answer = {"open": open_all, "seal": seal_all}[what](json.load(sys.stdin))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
