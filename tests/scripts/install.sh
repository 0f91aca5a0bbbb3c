#!/usr/bin/env bash
# Installs what is missing on this machine, and only that: quick when all is there.
#
#   install.sh demo    what `make demo` needs (Docker engine, iptables, gdb for the memory search)
#   install.sh release what `make release` needs (cargo-cyclonedx)
#   install.sh test    the same as for the demo, and PostgreSQL, Redis, promtool, network namespaces, checkers of scripts and units,
#                      two more runtimes of containers (crun, gVisor), xmlsec1, Python with its cryptography, Node, Chromium, cargo-nextest, cargo-deny, cargo-audit and cargo-fuzz
#
# Packages come from Debian (apt) and crates.io; semgrep.sh, quickstarts.sh and saml.sh fetch theirs from PyPI and npm, by digest; from nowhere else.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"

# program -> Debian package that brings it
needs_demo=(dockerd:docker.io iptables:iptables gcore:gdb cc:gcc git:git)
needs_test=("${needs_demo[@]}" g++:g++ redis-server:redis-server promtool:prometheus ip:iproute2 setpriv:util-linux shellcheck:shellcheck
    crun:crun runsc:runsc xmlsec1:xmlsec1 systemd-analyze:systemd node:nodejs npm:npm chromium:chromium chromedriver:chromium-driver)

debian_missing() {
    local pair program package
    for pair in "$@"; do
        program=${pair%%:*} package=${pair##*:}
        command -v "$program" >/dev/null 2>&1 || echo "$package"
    done
}

# The static cell links the C library's archive, which comes with the development package.
static_libc_missing() {
    # where there is none, gcc answers with the bare name instead of a path
    case $(cc -print-file-name=libc.a 2>/dev/null) in */*) ;; *) echo libc6-dev ;; esac
}

postgres_missing() {
    [ -n "$(postgres_bin)" ] || echo postgresql
}

# The second implementation of the formats (tests/reference) runs in the path's interpreter or in the system's.
python_missing() {
    local python
    for python in python3 /usr/bin/python3; do
        ! "$python" -B -c "import sys; sys.path.insert(0, '$here/../reference'); import primitives
primitives.argon2id(b'', 19456, 2, 1, bytes(16))" >/dev/null 2>&1 || return 0
    done
    echo python3 python3-cryptography python3-argon2
}

# Semgrep lives in a venv; Debian's Python makes none without a package of its own.
venv_missing() {
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || echo python3-venv
}

apt_install() {
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
        die "not root and no sudo: ask an administrator for: apt-get install --no-install-recommends $*"
    fi
    command -v apt-get >/dev/null 2>&1 || die "no apt-get here: install by hand what brings: $*"
    say "installing from Debian: $*"
    # no service may start by itself: the tests run engines of their own, on private sockets and ports
    local log policy=/usr/sbin/policy-rc.d made_policy=
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
        made_policy=1
    fi
    local status=0
    { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null || status=$?
    [ -z "$made_policy" ] || as_root rm -f "$policy"
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$log" >&2
        die "apt-get failed (log: $log)"
    fi
    rm -f "$log"
}

cargo_tool() { # program, crate, version, extra arguments of cargo install
    local program=$1 crate=$2 version=$3
    shift 3
    [ ! -x "$(cargo_bin)/$program" ] && ! command -v "$program" >/dev/null 2>&1 || return 0
    say "building $crate $version from crates.io (once; it stays in $(cargo_bin))"
    # outside the workspace, so that neither its lints nor its target folder are touched
    (cd / && cargo install --quiet --locked "$@" "$crate@$version" </dev/null)
}

main() {
    local goal=${1:-test} packages=()
    command -v cargo >/dev/null 2>&1 || die "no cargo here: install Rust with https://rustup.rs"
    case $goal in
        demo | release) mapfile -t packages < <(debian_missing "${needs_demo[@]}"; static_libc_missing) ;;
        test) mapfile -t packages < <(debian_missing "${needs_test[@]}"; static_libc_missing; postgres_missing
            python_missing | tr ' ' '\n'; venv_missing) ;;
        *) die "usage: install.sh demo|release|test" ;;
    esac
    [ "${#packages[@]}" -eq 0 ] || apt_install "${packages[@]}"
    if [ "$goal" = release ]; then
        CARGO_PROFILE_DEV_DEBUG=false cargo_tool cargo-cyclonedx cargo-cyclonedx 0.5.9 --debug
    elif [ "$goal" = test ]; then
        cargo_tool cargo-nextest cargo-nextest 0.9.143
        CARGO_PROFILE_DEV_DEBUG=false cargo_tool cargo-fuzz cargo-fuzz 0.13.1 --debug
        # checks our lock file in seconds either way, and builds in a quarter of the time unoptimised
        CARGO_PROFILE_DEV_DEBUG=false cargo_tool cargo-deny cargo-deny 0.20.2 --debug
        CARGO_PROFILE_DEV_DEBUG=false cargo_tool cargo-audit cargo-audit 0.22.2 --debug
    fi
}

main "$@"
