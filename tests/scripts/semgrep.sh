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

main() {
    local folder
    folder=$(from_pypi semgrep "$rules/requirements.txt")
    "$folder/bin/semgrep" --test --quiet --config "$rules/rules.yaml" "$rules/rules.rs" >&2
    "$folder/bin/semgrep" scan --quiet --error --config "$rules/rules.yaml" --exclude "$rules" . >&2
    say "semgrep: no finding in $(git ls-files '*.rs' | wc -l) Rust files"
}

main "$@"
