#!/usr/bin/env bash
# Real engines for the tests, all in one private folder: Docker, PostgreSQL and Redis.
#
#   engines.sh start        starts them and prints the folder
#   engines.sh env DIR      prints the variables that tell tests where they are
#   engines.sh stop DIR     ends each by its id, waits until it is gone, removes the folder
#
# What cannot start fails the run with its log: a test that silently did not run is worse than a red one.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/scripts/docker-engine.sh
. "$here/docker-engine.sh"

fail_with_log() { # what, log
    say "" "=== $1 could not start; the end of its log:"
    tail -n 25 "$2" >&2 || true
    say "=== The tests need it, so nothing was skipped and the run ends here." ""
    return 1
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 12000))
        if port_is_free "$port"; then
            echo "$port"
            return 0
        fi
    done
    die "no free port between 20000 and 32000"
}

# PostgreSQL refuses to run as root; Debian's package brings the user for it.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

start_postgres() {
    local dir=$1/postgres bin port password
    bin=$(postgres_bin)
    [ -n "$bin" ] || die "no PostgreSQL server here: run tests/scripts/install.sh test"
    mkdir -p "$dir"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s\n' "$password" >"$dir/password"
    [ "$(id -u)" -ne 0 ] || chown -R postgres "$dir"
    (
        cd "$dir"
        as_postgres "$bin/initdb" -D "$dir/data" -U ocmt --encoding=UTF8 --no-locale --no-sync \
            --auth=scram-sha-256 --pwfile="$dir/password"
    ) >"$dir/initdb.log" 2>&1 || fail_with_log "PostgreSQL (initdb)" "$dir/initdb.log"
    port=$(free_port)
    # fsync off: these tests end processes, never the machine, so nothing is lost that they could see
    (
        cd "$dir"
        as_postgres "$bin/postgres" -D "$dir/data" -k "$dir" -h 127.0.0.1 -p "$port" -c fsync=off \
            -c max_connections=300 -c timezone=UTC </dev/null >"$dir/log" 2>&1 &
    )
    if ! wait_for 120 "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then
        fail_with_log "PostgreSQL" "$dir/log"
    fi
    echo "OCMT_TEST_POSTGRES=postgres://ocmt:$password@127.0.0.1:$port/postgres" >>"$1/env"
}

start_redis() {
    local dir=$1/redis port
    mkdir -p "$dir"
    port=$(free_port)
    redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --save "" --appendonly no \
        --daemonize no --pidfile "$dir/pid" </dev/null >"$dir/log" 2>&1 &
    echo $! >"$dir/started"
    if ! wait_for 60 redis-cli -h 127.0.0.1 -p "$port" ping; then
        fail_with_log "Redis" "$dir/log"
    fi
    echo "OCMT_TEST_REDIS=redis://127.0.0.1:$port" >>"$1/env"
}

start() {
    dir=$(mktemp -d "${TMPDIR:-/tmp}/ocmt-engines.XXXXXX") # not local: the trap below outlives this function
    # the user postgres has to get through, and need not look around
    chmod 711 "$dir"
    (umask 077 && : >"$dir/env")
    # whatever fails on the way: nothing is left running
    trap 'stop "$dir"' EXIT
    start_docker "$dir"
    start_postgres "$dir"
    start_redis "$dir"
    trap - EXIT
    echo "$dir"
}

postgres_pid() { head -n 1 "$1/postgres/data/postmaster.pid" 2>/dev/null || true; }

# One engine that does not end must not keep the others running: all are tried, then it fails.
stop() {
    local dir=$1 pid left=()
    [ -d "$dir" ] || return 0
    case ${dir##*/} in ocmt-engines.*) ;; *) die "not a folder of engines.sh: $dir" ;; esac
    stop_docker "$dir" || left+=(Docker)
    pid=$(postgres_pid "$dir")
    # INT is PostgreSQL's fast shutdown: open transactions are rolled back
    [ -z "$pid" ] || end_process "$pid" 60 INT || left+=(PostgreSQL)
    if [ -f "$dir/redis/started" ]; then
        end_process "$(cat "$dir/redis/started")" 30 TERM || left+=(Redis)
    fi
    rm -rf --one-file-system -- "$dir" || left+=("the folder")
    [ "${#left[@]}" -eq 0 ] || die "of the engines in $dir did not end or go: ${left[*]}"
}

case ${1:-} in
    start) start ;;
    env) sed 's/^/export /' "${2:?folder}/env" ;;
    stop) stop "${2:?folder}" ;;
    *) die "usage: engines.sh start | env DIR | stop DIR" ;;
esac
