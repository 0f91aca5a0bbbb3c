#!/usr/bin/env bash
# Builds what is handed out, the same bytes wherever it is built, with its list of parts and their licences.
#
#   release.sh          target/dist: the programs, their SBOM (CycloneDX), licences and digests
#   release.sh check    builds twice, in two folders with targets of their own, and compares
#
# "The same" means: this commit, the toolchain of rust-toolchain.toml and the C compiler of one Debian release.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
cd "$here/../.."

triple=x86_64-unknown-linux-gnu

# No path and no time of this machine goes into a program. The folders are those of the tree given.
sameness() { # tree, target
    local home=${CARGO_HOME:-$HOME/.cargo}
    export CARGO_TARGET_DIR=$2 CARGO_INCREMENTAL=0
    SOURCE_DATE_EPOCH=$(git -C "$1" log -1 --format=%ct)
    RUSTFLAGS="--remap-path-prefix=$1=/ocmt --remap-path-prefix=$2=/target --remap-path-prefix=$home=/cargo"
    RUSTFLAGS+=" --remap-path-prefix=$(rustc --print sysroot)=/rust"
    CFLAGS="-ffile-prefix-map=$home=/cargo -ffile-prefix-map=$2=/target"
    export SOURCE_DATE_EPOCH RUSTFLAGS CFLAGS CXXFLAGS=$CFLAGS
}

programs() { # tree, target, where to
    (
        sameness "$1" "$2"
        cd "$1"
        cargo build --release --locked -p ocmt
        tests/scripts/cell.sh
        mkdir -p "$3"
        install -m 0755 "$2/release/ocmt" "$2/$triple/cell/ocmt-cell" "$3"
    )
}

# What is in them: every component with version, digest and licence, and the licences' own words.
parts() { # where to
    # it writes one beside every manifest
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) cargo cyclonedx --quiet --format json --spec-version 1.5 \
        --target "$triple" --override-filename sbom
    mv node/sbom.json "$1/ocmt.cdx.json"
    mv node/cell/sbom.json "$1/ocmt-cell.cdx.json"
    find . -name sbom.json -not -path './target/*' -delete
    python3 -B "$here/licences.py" "$1" ocmt ocmt-cell
    cp LICENSE-MIT LICENSE-APACHE "$1"
}

check() {
    local scratch one two
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$scratch'" EXIT
    for one in first a-second-longer-path; do
        git clone --quiet --no-hardlinks . "$scratch/$one"
        programs "$scratch/$one" "$scratch/$one-target" "$scratch/$one-dist"
    done
    (cd "$scratch/first-dist" && sha256sum -- *) >"$scratch/one"
    (cd "$scratch/a-second-longer-path-dist" && sha256sum -- *) >"$scratch/two"
    cat "$scratch/one"
    diff "$scratch/one" "$scratch/two" >&2 || die "two builds of one commit differ"
    # a path that stayed would differ on another machine though it did not here
    two=$(grep -lrF -e "$scratch" -e "${CARGO_HOME:-$HOME/.cargo}" "$scratch/first-dist" || true)
    [ -z "$two" ] || die "a path of this machine stayed in: $two"
    say "two builds in two folders are the same bytes"
}

main() {
    local out=$PWD/target/dist
    PATH=$PATH:$(cargo_bin)
    case ${1:-build} in
        check) check && return ;;
        build) ;;
        *) die "usage: release.sh [check]" ;;
    esac
    [ -z "$(git status --porcelain)" ] || die "the tree has changes: a release is of a commit"
    "$here/install.sh" release
    rm -rf "$out"
    programs "$PWD" "$(realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}")" "$out"
    parts "$out"
    (cd "$out" && sha256sum -- * >SHA256SUMS)
    say "in $out:" "$(cat "$out/SHA256SUMS")"
}

main "$@"
