"""Writes what the programs are made of and the words of its licences: licences.py OUT PACKAGE...

Reads `cargo metadata` and the sources that cargo has unpacked; asks nobody. A component that names no licence is an
error; those that bring no text of it are listed.
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


def main() -> None:
    out, names = sys.argv[1], sys.argv[2:]
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
    with open(out, "w", encoding="utf-8") as file:
        file.write(f"{', '.join(names)} stand on {len(components)} components. Each with its licence:\n\n")
        for package in components:
            file.write(f"{package['name']} {package['version']}: {package['license']}  {package['repository'] or ''}\n")
        file.write(f"\nThese bring no text of their licence, and are under the one that they name: {', '.join(bare)}\n")
        for text, users in sorted(by_text.values(), key=lambda one: one[1]):
            file.write(f"\n{'-' * 100}\n{', '.join(users)}\n\n{text}")


if __name__ == "__main__":
    main()
