#!/usr/bin/env bash
# Everything that has to hold, from a clean clone: `make test`. Real engines, no skipped step.
#
# A failing check does not hide the next one: all run, a summary names those that failed, exit 1.
# shellcheck disable=SC2317 # functions that `step` and `trap` call look unreachable to it
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
cd "$here/../.."

target=$(realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}")
engines=
declare -a summary=() failed=()

cleanup() {
    trap - EXIT INT TERM
    end_cells
    end_browsers
    [ -z "$engines" ] || "$here/engines.sh" stop "$engines" || say "the engines in $engines did not stop cleanly"
}

# Tests that kill a node as a power cut would leave its process cells behind, as that node's next life wants
# them: those of this build whose node is gone, and which are younger than this run.
end_cells() {
    local cell="$target/x86_64-unknown-linux-gnu/cell/ocmt-cell" pid
    for pid in $(ps -eo pid=,ppid=,etimes=,args= | awk -v cell="$cell" -v most="$SECONDS" \
        '$2 == 1 && $3 <= most && $4 == cell && $5 == "run" { print $1 }'); do
        kill -TERM "$pid" 2>/dev/null || true
    done
}

step() { # title, command...
    local title=$1 started=$SECONDS verdict=ok
    shift
    say "" "--- $title"
    "$@" </dev/null || { verdict=FAILED && failed+=("$title"); }
    summary+=("$(printf '%-34s %-7s %4d s' "$title" "$verdict" $((SECONDS - started)))")
}

# A test that was killed can end neither the driver of its browser nor the browser: what this run started and told to use a
# folder of tests, by the run's own id, which nothing of another run has. The folder goes with them.
end_browsers() {
    local pid folder folders=()
    for pid in $(ps -eo pid=); do
        folder=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | awk -v run="OCMT_TEST_RUN=${OCMT_TEST_RUN:-none}" '
            $0 == run { ours = 1 }
            /^TMPDIR=\/.*\/ocmt-chromium[.-][A-Za-z0-9_]*$/ { folder = substr($0, 8) }
            END { if (ours) print folder }') || continue
        [ -n "$folder" ] || continue
        end_process "$pid" 5 KILL || true
        folders+=("$folder")
    done
    for folder in "${folders[@]}"; do
        rm -rf --one-file-system -- "$folder"
    done
}

# Without these nothing after them means anything.
needed() { # title, command...
    local before=${#failed[@]}
    step "$@"
    [ "${#failed[@]}" -eq "$before" ] || finish
}

finish() {
    say "" "=== summary (total $SECONDS s)"
    printf '%s\n' "${summary[@]}" >&2
    if [ "${#failed[@]}" -gt 0 ]; then
        say "" "FAILED: ${#failed[@]} of ${#summary[@]} steps"
        exit 1
    fi
    say "" "all passed"
    exit 0
}

start_engines() {
    # `set -e` is off below an `||`, so this one is said
    engines=$("$here/engines.sh" start) || return 1
    eval "$("$here/engines.sh" env "$engines")"
}

build() {
    cargo build --workspace --bins --locked
}

main() {
    export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto} CI=${CI:-true}
    # tests look for the programs here, never on the PATH
    # what tests leave behind is known by it
    OCMT_TEST_RUN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    export OCMT_TEST_RUN
    export OCMT_TEST_BIN="$target/debug"
    export OCMT_TEST_CELL="$target/x86_64-unknown-linux-gnu/cell"
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    needed "install what is missing" "$here/install.sh" test
    step "format" cargo fmt --all --check
    step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
    step "dependencies and advisories" "$here/advisories.sh"
    step "semgrep" "$here/semgrep.sh"
    needed "build the cell (static)" "$here/cell.sh"
    needed "build the programs" build
    needed "start Docker, PostgreSQL, Redis" start_engines
    step "tests" cargo nextest run --workspace --locked --profile ci
    step "quickstarts" "$here/quickstarts.sh"
    step "a bridge from SAML" "$here/saml.sh"
    step "examples in the documentation" cargo test --doc --workspace --locked --quiet
    step "fuzzing, 60 s a target" "$here/fuzz.sh" 60
    finish
}

main "$@"
