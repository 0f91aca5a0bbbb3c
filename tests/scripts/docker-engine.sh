# A private Docker engine beside any other: own socket, own data, no default bridge. Sourced by engines.sh.
# shellcheck shell=bash

docker_at() { # folder, arguments of docker...
    local dir=$1
    shift
    env -u DOCKER_CONTEXT DOCKER_HOST="unix://$dir/docker/sock" docker "$@"
}

docker_answers() { docker_at "$1" version --format '{{.Server.Version}}'; }

other_dockerd_runs() { pgrep -x dockerd >/dev/null 2>&1; }

has_docker_chains() { iptables-save 2>/dev/null | grep -q DOCKER; }

# crun 1.8 refuses a machine that has both versions of cgroups. There it is shown the first alone, which is what runc takes.
crun_here() { # folder
    local crun second=/sys/fs/cgroup/unified wrapper=$1/docker/crun
    crun=$(command -v crun) || return 0
    if [ "$(stat --file-system --format=%T "$second" 2>/dev/null)" != cgroup2fs ]; then
        echo "$crun"
        return 0
    fi
    cat >"$wrapper" <<EOF
#!/bin/sh
exec unshare --mount --propagation slave sh -c 'umount $second && exec $crun "\$@"' crun "\$@"
EOF
    chmod 755 "$wrapper"
    echo "$wrapper"
}

# Runtimes beside runc that are installed (install.sh test), by the names that containers.oci_runtime has for them in tests.
# gVisor uses the sockets of the container's own network namespace (--network=host): with its own stack, Debian's runsc
# of 2022 takes that namespace for the machine's under newer kernels (6.18), and refuses.
other_runtimes() { # folder
    local crun runsc runtimes=()
    crun=$(crun_here "$1")
    [ -z "$crun" ] || runtimes+=("\"crun\": {\"path\": \"$crun\"}")
    runsc=$(command -v runsc || true)
    [ -z "$runsc" ] || runtimes+=("\"runsc\": {\"path\": \"$runsc\", \"runtimeArgs\": [\"--network=host\"]}")
    local IFS=,
    echo "{\"runtimes\": {${runtimes[*]}}}"
}

try_dockerd() { # folder, extra folder in front of the PATH
    local dir=$1/docker pid
    mkdir -p "$dir"
    PATH="${2:+$2:}$PATH" dockerd -H "unix://$dir/sock" --data-root "$dir/data" --exec-root "$dir/exec" \
        --pidfile "$dir/pid" --config-file "$dir/daemon.json" --bridge=none </dev/null >>"$dir/log" 2>&1 &
    pid=$!
    echo "$pid" >"$dir/started"
    local tenths=1200
    while [ "$tenths" -gt 0 ]; do
        docker_answers "$1" >/dev/null 2>&1 && return 0
        gone "$pid" && return 1
        tenths=$((tenths - 1))
        sleep 0.1
    done
    end_process "$pid" 10 TERM
    return 1
}

# The engine drives `iptables`. Where the nft flavour does not work in this kernel the legacy one may.
with_legacy_iptables() { # folder
    local bin=$1/docker/legacy-bin tool
    command -v iptables-legacy >/dev/null 2>&1 || return 1
    mkdir -p "$bin"
    for tool in iptables ip6tables iptables-save iptables-restore; do
        ln -sf "$(command -v "${tool/tables/tables-legacy}")" "$bin/$tool"
    done
    echo "$bin"
}

start_docker() { # folder
    local dir=$1 legacy
    if [ -n "${OCMT_TEST_DOCKER:-}" ]; then
        say "using the Docker engine given in OCMT_TEST_DOCKER"
        printf 'OCMT_TEST_DOCKER=%s\nDOCKER_HOST=%s\n' "$OCMT_TEST_DOCKER" "$OCMT_TEST_DOCKER" >>"$dir/env"
        return 0
    fi
    [ "$(id -u)" -eq 0 ] ||
        die "a private Docker engine needs root: run as root, or set OCMT_TEST_DOCKER=unix:///path/of/an/engine"
    mkdir -p "$dir/docker"
    if has_docker_chains || other_dockerd_runs; then touch "$dir/docker/keep-chains"; fi
    cat /proc/sys/net/ipv4/ip_forward >"$dir/docker/ip_forward"
    other_runtimes "$dir" >"$dir/docker/daemon.json"
    if ! try_dockerd "$dir" ""; then
        legacy=$(with_legacy_iptables "$dir") || fail_with_log "Docker" "$dir/docker/log"
        say "Docker did not start with iptables as it is; trying iptables-legacy"
        try_dockerd "$dir" "$legacy" || fail_with_log "Docker" "$dir/docker/log"
    fi
    printf 'OCMT_TEST_DOCKER=unix://%s\nDOCKER_HOST=unix://%s\n' "$dir/docker/sock" "$dir/docker/sock" >>"$dir/env"
}

remove_containers() { # folder
    local ids
    mapfile -t ids < <(docker_at "$1" ps --all --quiet 2>/dev/null)
    [ "${#ids[@]}" -eq 0 ] || docker_at "$1" rm --force "${ids[@]}" >/dev/null 2>&1 || true
    docker_at "$1" network prune --force >/dev/null 2>&1 || true
}

# A shim outlives its engine where its container could be neither started nor removed, with whatever runs below it: it waits
# for words of an engine that is gone.
end_shims() { # folder
    local pid child
    for pid in $(ps -eo pid=,args= | awk -v at="$1/docker/exec/containerd/containerd.sock" \
        '$2 ~ /\/containerd-shim-[^\/]*$/ { for (i = 3; i <= NF; i++) if ($i == at) print $1 }'); do
        for child in $(ps -eo pid=,ppid= | awk -v shim="$pid" '$2 == shim { print $1 }'); do
            kill -s KILL "$child" 2>/dev/null || true
        done
        end_process "$pid" 5 KILL || return 1
    done
}

# Deepest first; mounts that the engine's end has left (network namespaces, the data folder bound on itself).
unmount_below() { # folder
    local path
    awk -v top="$1/" 'index($2, top) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r path; do
        umount -- "$path" 2>/dev/null || umount --lazy -- "$path" 2>/dev/null || true
    done
}

# Docker leaves its chains behind. Only where none were there before, and no other engine needs them.
remove_chains() {
    local table rule chain
    for table in filter nat; do
        iptables-save -t "$table" 2>/dev/null | grep -E '^-A .*DOCKER' | sed 's/^-A /-D /' | while read -r rule; do
            # shellcheck disable=SC2086 # the rule is words, as iptables-save printed them
            iptables -t "$table" $rule 2>/dev/null || true
        done
        iptables-save -t "$table" 2>/dev/null | sed -n 's/^:\(DOCKER[^ ]*\).*/\1/p' | while read -r chain; do
            iptables -t "$table" -F "$chain" 2>/dev/null || true
        done
        iptables-save -t "$table" 2>/dev/null | sed -n 's/^:\(DOCKER[^ ]*\).*/\1/p' | while read -r chain; do
            iptables -t "$table" -X "$chain" 2>/dev/null || true
        done
    done
}

stop_docker() { # folder
    local dir=$1 containerd
    [ -f "$dir/docker/started" ] || return 0
    remove_containers "$dir"
    containerd=$(cat "$dir/docker/exec/containerd/containerd.pid" 2>/dev/null || true)
    end_process "$(cat "$dir/docker/started")" 90 TERM
    [ -z "$containerd" ] || end_process "$containerd" 30 TERM
    end_shims "$dir"
    unmount_below "$dir/docker"
    [ ! -e "$dir/docker/keep-chains" ] || return 0
    ! other_dockerd_runs || return 0
    remove_chains
    # the engine turned forwarding on and then closed the FORWARD chain: both back as they were
    if [ "$(cat "$dir/docker/ip_forward")" = 0 ]; then
        echo 0 >/proc/sys/net/ipv4/ip_forward
        iptables -P FORWARD ACCEPT
    fi
}
