"""Writes what the programs are made of and the words of its licences: licences.py FOLDER PACKAGE...

Reads `cargo metadata`, the sources that cargo has unpacked and what Debian and rustc say of the libraries that are no
crates; asks nobody. LICENCES.txt in FOLDER is written, and PACKAGE.cdx.json there gets those libraries. A component that
names no licence is an error; those that bring no text of it are listed.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

TRIPLE = "x86_64-unknown-linux-gnu"
NAMES = ("license", "licence", "copying", "notice", "unlicense")


def metadata() -> dict:
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--offline", f"--filter-platform={TRIPLE}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def reached(graph: dict, names: list[str]) -> list[dict]:
    """Packages that are linked into those named: no build and no test dependency of theirs."""
    packages = {package["id"]: package for package in graph["packages"]}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    todo = [package["id"] for package in graph["packages"] if package["name"] in names and package["source"] is None]
    if len(todo) != len(names):
        sys.exit(f"licences.py: no such packages: {names}")
    seen = set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        for dependency in nodes[at]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return sorted((packages[at] for at in seen if packages[at]["source"]), key=lambda one: (one["name"], one["version"]))


def texts(package: dict) -> list[str]:
    folder = pathlib.Path(package["manifest_path"]).parent
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name.lower().startswith(NAMES)]
    return [path.read_text(errors="replace").strip() + "\n" for path in files]


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def libraries() -> list[dict]:
    """What is linked in and is no crate. The cell holds the C library itself, since it is static."""
    rust = said("rustc", "--version").split()[1]
    glibc = said("dpkg-query", "--showformat=${Version}", "--show", "libc6-dev")
    return [
        {"name": "rust-std", "version": rust, "licence": "MIT OR Apache-2.0", "in": ["ocmt", "ocmt-cell"], "text": None},
        {
            "name": "glibc",
            "version": glibc,
            "licence": "LGPL-2.1-or-later",
            "in": ["ocmt-cell"],
            "text": "/usr/share/doc/libc6/copyright",
        },
    ]


def add_to_sbom(folder: pathlib.Path, name: str) -> None:
    path = folder / f"{name}.cdx.json"
    sbom = json.loads(path.read_text())
    for one in libraries():
        if name in one["in"]:
            licence = [{"expression": one["licence"]}]
            sbom["components"].append(
                {"type": "library", "name": one["name"], "version": one["version"], "licenses": licence}
            )
    path.write_text(json.dumps(sbom, indent=2) + "\n")


def main() -> None:
    folder, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    components, bare = reached(metadata(), names), []
    by_text: dict[str, tuple[str, list[str]]] = {}
    for package in components:
        if not package["license"]:
            sys.exit(f"licences.py: {package['name']} names no licence")
        called = f"{package['name']} {package['version']}"
        found = texts(package)
        if not found:
            bare.append(called)
        for text in found:
            digest = hashlib.sha256(text.encode()).hexdigest()
            by_text.setdefault(digest, (text, []))[1].append(called)
    for name in names:
        add_to_sbom(folder, name)
    with open(folder / "LICENCES.txt", "w", encoding="utf-8") as file:
        file.write(f"{', '.join(names)} stand on {len(components)} components. Each with its licence:\n\n")
        for package in components:
            file.write(f"{package['name']} {package['version']}: {package['license']}  {package['repository'] or ''}\n")
        for one in libraries():
            file.write(f"{one['name']} {one['version']}: {one['licence']}, in {', '.join(one['in'])}\n")
        file.write("\nglibc is linked into ocmt-cell statically. Its source is Debian's package glibc of that version; whoever wants\n")
        file.write("another version in it builds ocmt-cell anew from this repository with tests/scripts/cell.sh.\n")
        file.write(f"\nThese bring no text of their licence, and are under the one that they name: {', '.join(bare)}\n")
        for text, users in sorted(by_text.values(), key=lambda one: one[1]):
            file.write(f"\n{'-' * 100}\n{', '.join(users)}\n\n{text}")
        for one in libraries():
            if one["text"]:
                text = pathlib.Path(one["text"]).read_text(encoding="utf-8", errors="replace")
                file.write(f"\n{'-' * 100}\n{one['name']} {one['version']}\n\n{text}")


if __name__ == "__main__":
    main()
