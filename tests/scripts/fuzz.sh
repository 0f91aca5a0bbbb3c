#!/usr/bin/env bash
# Fuzzes the parsers (tests/fuzz), each target for a while, as many at once as there are cores.
#
#   fuzz.sh [SECONDS] [TARGET...]   60 seconds, and all targets, unless said
#
# What a run finds new stays in target/fuzz/corpus and is used by the next; the kept corpus, tests/fuzz/corpus,
# is read and not written. An input that breaks a target is left in target/fuzz/artifacts, and replayed by
# naming it to the target's program, which is said. Stable Rust: nothing here is unsafe, so no sanitizer.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
cd "$here/../.."

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || die "usage: fuzz.sh [SECONDS] [TARGET...], not \"$seconds\" seconds"
shift || true
target=$(realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}")/fuzz
programs=$target/x86_64-unknown-linux-gnu/release

# The longest input, in bytes, and the most memory, in MiB: parsers allocate by what came, not by what it says.
limits=(-max_len=4096 -rss_limit_mb=512 -malloc_limit_mb=64 -timeout=10)

run() { # target
    mkdir -p "$target/corpus/$1" "$target/artifacts/$1"
    local log=$target/$1.log
    if ! "$programs/$1" "${limits[@]}" "-max_total_time=$seconds" "-artifact_prefix=$target/artifacts/$1/" \
        "$target/corpus/$1" "tests/fuzz/corpus/$1" >"$log" 2>&1 </dev/null; then
        grep -E 'panicked|ERROR|SUMMARY|Test unit written' -A 2 "$log" >&2 || tail -n 20 "$log" >&2
        say "FAILED: $1; replay: $programs/$1 FILE, with the file named above"
        return 1
    fi
    say "$(printf '%-12s %s' "$1" "$(grep -E '^#[0-9]+\s+DONE' "$log" | tr -s '\t ' ' ')")"
}

main() {
    local names=("$@") status=0 name
    [ "$#" -gt 0 ] || mapfile -t names < <(cd tests/fuzz/fuzz_targets && basename -s .rs -- *.rs)
    for name in "${names[@]}"; do
        [ -f "tests/fuzz/fuzz_targets/$name.rs" ] || die "no target \"$name\" in tests/fuzz/fuzz_targets"
    done
    PATH=$PATH:$(cargo_bin)
    command -v cargo-fuzz >/dev/null 2>&1 || die "no cargo-fuzz here: run tests/scripts/install.sh test"
    (cd tests/fuzz && cargo fuzz build --fuzz-dir . --sanitizer none --target-dir "$target")
    say "${#names[@]} targets, $seconds s each, $(nproc) at once"
    export -f run say
    export target programs seconds
    # arrays are not exported: the limits go as text
    # shellcheck disable=SC2016 # expanded by the shell that xargs starts
    printf '%s\n' "${names[@]}" | LIMITS="${limits[*]}" xargs -P "$(nproc)" -I NAME \
        bash -c 'read -ra limits <<<"$LIMITS"; run NAME' || status=1
    [ "$status" -eq 0 ] || die "a target failed"
}

main "$@"
