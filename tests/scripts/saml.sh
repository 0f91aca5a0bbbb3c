#!/usr/bin/env bash
# Signs in through a real bridge from SAML (tests/saml/signs_in.py): wants the programs of `cargo build --workspace --bins` and xmlsec1.
#
# SATOSA and what it stands on come from PyPI by digest (tests/saml/requirements.txt), once, into target/tools. All of it
# listens on loopback, in a folder of its own.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
cd "$here/../.."

target=$(realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}")
requirements=tests/saml/requirements.txt

# A folder of its own for each set of digests; the file `whole` says that it is complete.
install() { # folder
    say "installing SATOSA from PyPI (once; it stays in $1)"
    rm -rf "$1"
    python3 -m venv "$1" || die "python3 cannot make a venv: apt-get install python3-venv"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
        --only-binary :all: --requirement "$requirements"
    touch "$1/whole"
}

main() {
    local digest folder ocmt=${OCMT:-${OCMT_TEST_BIN:-$target/debug}/ocmt}
    [ -x "$ocmt" ] || die "no program at $ocmt: cargo build --workspace --bins"
    digest=$(sha256sum "$requirements" | cut -c1-16)
    folder=$target/tools/saml-$digest
    [ -e "$folder/whole" ] || install "$folder"
    OCMT=$ocmt "$folder/bin/python" -B -W ignore tests/saml/signs_in.py
    say "sign-in through a bridge from SAML: ok"
}

main "$@"
