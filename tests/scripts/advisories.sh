#!/usr/bin/env bash
# Holds the dependencies against deny.toml: known advisories, banned crates, licences, sources.
# Offline. The advisories are tests/advisory-db, or what OCMT_ADVISORY_DB names (a folder or a .tar.gz).
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
cd "$here/../.."

source_of_advisories=${OCMT_ADVISORY_DB:-tests/advisory-db/rustsec.tar.gz}
# cargo-deny finds a database by a name made of its address: this is the one of deny.toml's db-urls
database=target/advisory-dbs/advisory-db-3157b0e258782691

unpack() { # where from, where to
    if [ -d "$1" ]; then
        cp -R -- "$1/." "$2"
    else
        tar -xzf "$1" -C "$2" --strip-components=1
    fi
    [ -d "$2/crates" ] || die "no advisories in $1: expected a tree of RustSec/advisory-db"
}

# cargo-deny reads the database out of a git repository, and takes its age from the commit.
as_repository() { # folder, date
    (
        cd "$1"
        rm -rf .git
        export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
        export GIT_AUTHOR_DATE="$2T00:00:00Z" GIT_COMMITTER_DATE="$2T00:00:00Z"
        git init --quiet
        git add --all
        git -c user.name=ocmt -c user.email=ocmt@localhost commit --quiet --message "advisories of $2"
        git rev-parse HEAD >.git/FETCH_HEAD
    )
}

date_of_advisories() {
    if [ -z "${OCMT_ADVISORY_DB:-}" ]; then
        cat tests/advisory-db/DATE
    else
        date --utc --date="@$(stat --format=%Y "$OCMT_ADVISORY_DB")" +%F
    fi
}

# One deny.toml for two trees: what only one of them needs is not missing in the other.
check_tree() { # manifest
    cargo deny --offline --locked --all-features --manifest-path "$1" --config deny.toml check \
        --allow license-exception-not-encountered --allow license-not-encountered \
        --allow advisory-not-detected advisories bans licenses sources
}

# The same question by the other tool, which reads the lock file alone: what it may pass over is the list in deny.toml.
audit_tree() { # folder of the lock file
    local ignored
    mapfile -t ignored < <(sed -nE 's/.*id = "(RUSTSEC-[0-9]{4}-[0-9]{4})".*/--ignore=\1/p' deny.toml)
    cargo audit --no-fetch --stale --quiet --deny warnings --db "$database" --file "$1/Cargo.lock" "${ignored[@]}"
}

main() {
    local dated age
    PATH=$PATH:$(cargo_bin)
    command -v cargo-deny >/dev/null 2>&1 || die "no cargo-deny here: run tests/scripts/install.sh test"
    [ -e "$source_of_advisories" ] || die "no advisories at $source_of_advisories"
    dated=$(date_of_advisories)
    age=$((($(date +%s) - $(date --date="$dated" +%s)) / 86400))
    say "advisories of $dated, $age days old"
    rm -rf -- "$database"
    mkdir -p "$database"
    unpack "$source_of_advisories" "$database"
    as_repository "$database" "$dated"
    # its look at the sources needs them on disk; crates.io is all this asks
    cargo fetch --locked --quiet
    check_tree Cargo.toml
    audit_tree .
    # the fuzz targets have a lock file of their own
    cargo fetch --locked --quiet --manifest-path tests/fuzz/Cargo.toml
    check_tree tests/fuzz/Cargo.toml
    audit_tree tests/fuzz
}

main "$@"
