#!/usr/bin/env bash
# Reads the tree by the rules of tests/semgrep, offline. Each rule is first shown what it has to find, in rules.rs.
#
# Semgrep comes from PyPI by digest (tests/semgrep/requirements.txt), once, into target/tools; it reports to nobody.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
cd "$here/../.."

rules=tests/semgrep
export SEMGREP_SEND_METRICS=off SEMGREP_ENABLE_VERSION_CHECK=0

# A folder of its own for each set of digests; the file `whole` says that it is complete.
install() { # folder
    say "installing Semgrep from PyPI (once; it stays in $1)"
    rm -rf "$1"
    python3 -m venv "$1" || die "python3 cannot make a venv: apt-get install python3-venv"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
        --only-binary :all: --requirement "$rules/requirements.txt"
    touch "$1/whole"
}

main() {
    local digest folder
    digest=$(sha256sum "$rules/requirements.txt" | cut -c1-16)
    folder=$PWD/target/tools/semgrep-$digest
    [ -e "$folder/whole" ] || install "$folder"
    "$folder/bin/semgrep" --test --quiet --config "$rules/rules.yaml" "$rules/rules.rs" >&2
    "$folder/bin/semgrep" scan --quiet --error --config "$rules/rules.yaml" --exclude "$rules" . >&2
    say "semgrep: no finding in $(git ls-files '*.rs' | wc -l) Rust files"
}

main "$@"
