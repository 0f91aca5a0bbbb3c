# What the scripts share; sourced, never run.
# shellcheck shell=bash

say() { printf '%s\n' "$@" >&2; } # each argument is a line

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

# The folder with initdb and postgres; Debian keeps them off the PATH. Empty when there is none.
postgres_bin() {
    local dir
    for dir in /usr/lib/postgresql/*/bin; do
        [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && echo "$dir"
    done | sort -V | tail -n 1
}

cargo_bin() { echo "${CARGO_HOME:-$HOME/.cargo}/bin"; }

# Waits until a command succeeds, at most so many seconds.
wait_for() { # seconds, command...
    local tenths=$(($1 * 10))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$tenths" -gt 0 ] || return 1
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# Ends a process by its id and waits until it is gone; SIGKILL only after the time given.
end_process() { # pid, seconds, signal
    local pid=$1 seconds=$2 signal=${3:-TERM}
    kill -s "$signal" "$pid" 2>/dev/null || return 0
    wait_for "$seconds" gone "$pid" && return 0
    say "process $pid did not end within $seconds s: killing it"
    kill -s KILL "$pid" 2>/dev/null || true
    wait_for 5 gone "$pid"
}

# Programs of PyPI by digest, once for each set of digests, in target/tools: prints their folder. The file `whole` says that it is complete.
from_pypi() { # name, requirements
    local folder
    folder=$(realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}")/tools/$1-$(sha256sum "$2" | cut -c1-16)
    if [ ! -e "$folder/whole" ]; then
        say "installing $1 from PyPI (once; it stays in $folder)"
        rm -rf "$folder"
        python3 -m venv "$folder" >&2 || die "python3 cannot make a venv: apt-get install python3-venv"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
            --only-binary :all: --requirement "$2" >&2 || die "pip could not install $1"
        touch "$folder/whole"
    fi
    printf '%s\n' "$folder"
}
