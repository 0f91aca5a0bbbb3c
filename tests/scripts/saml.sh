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

main() {
    local folder ocmt=${OCMT:-${OCMT_TEST_BIN:-${CARGO_TARGET_DIR:-target}/debug}/ocmt}
    [ -x "$ocmt" ] || die "no program at $ocmt: cargo build --workspace --bins"
    folder=$(from_pypi satosa tests/saml/requirements.txt)
    OCMT=$(realpath -- "$ocmt") "$folder/bin/python" -B -W ignore tests/saml/signs_in.py
    say "sign-in through a bridge from SAML: ok"
}

main "$@"
