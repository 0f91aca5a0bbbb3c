#!/usr/bin/env bash
# The image of node/deploy/images/openclaw, run for real: built, unlocked, talked to through the gateway, paused, woken by a request,
# and what the agent's own program gets when it looks for a way out. By hand, as root: it loads 850 MB of packages.
#
#   agent.sh                wants the programs of `cargo build -p ocmt` and tests/scripts/cell.sh, npm, Docker and curl
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/scripts/docker-engine.sh
. "$here/docker-engine.sh"
cd "$here/../.."

target=$(realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}")
ocmt=${OCMT_TEST_BIN:-$target/debug}/ocmt
cell=${OCMT_TEST_CELL:-$target/x86_64-unknown-linux-gnu/cell}/ocmt-cell
agent=/opt/agent/node_modules/openclaw/openclaw.mjs
networks=10.238.0.0/24
port=18789
scratch=
node=

fail_with_log() {
    tail -n 25 "$2" >&2
    die "$1 could not start"
}

# The guard of the containers' networks outlives a node on purpose.
unguard() {
    iptables-save -t filter | grep -E -- "^-A INPUT .*-j OCMT-0AEE0000-24" | sed 's/^-A /-D /' | while read -r rule; do
        # shellcheck disable=SC2086 # the rule is words, as iptables-save printed them
        iptables $rule
    done
    iptables -F OCMT-0AEE0000-24 2>/dev/null && iptables -X OCMT-0AEE0000-24
}

cleanup() {
    trap - EXIT
    exec 7>&- || true
    [ -z "$node" ] || end_process "$node" 10
    [ -z "$scratch" ] || stop_docker "$scratch" || say "the engine in $scratch did not stop"
    unguard || true
    umount -- "$scratch"/data/volumes/*/* 2>/dev/null || true
    [ -z "$scratch" ] || rm -rf --one-file-system -- "$scratch"
}

# Somebody who signed up, on a node that holds containers as tightly as it can.
world() { # image
    cat >"$scratch/ocmt.toml" <<TOML
[node]
mode = "dev"
data_dir = "$scratch/data"
[containers]
docker_host = "$DOCKER_HOST"
image = "$1"
network_range = "$networks"
seccomp = "strict"
volume_mib = 256
[telemetry]
format = "text"
TOML
    "$ocmt" node --config "$scratch/ocmt.toml" >"$scratch/node.log" 2>&1 &
    node=$!
    wait_for 120 grep -q 'node serves' "$scratch/node.log" || fail_with_log "the node" "$scratch/node.log"
    export OCMT_STATE_DIR=$scratch/state
    mkfifo "$scratch/link"
    "$ocmt" login --sign-up --email you@example.org --tenant-name Home --endpoint https://127.0.0.1:7443 \
        --ca "$scratch/data/pki/ca.pem" <"$scratch/link" >"$scratch/login.log" 2>&1 &
    local login=$!
    exec 7>"$scratch/link"
    wait_for 120 grep -q 'https://.*/auth/link/' "$scratch/node.log" || fail_with_log "a sign-in" "$scratch/login.log"
    grep -o 'https://.*/auth/link/[^ ]*' "$scratch/node.log" | tail -n 1 >&7
    wait "$login" || fail_with_log "a sign-in" "$scratch/login.log"
}

unlocked() { # image
    (umask 077 && printf 'violin ledger umbrella quartz' >"$scratch/pass" && printf 'a token 5d2e' >"$scratch/token")
    "$ocmt" vault create --new-passphrase-file "$scratch/pass" >/dev/null 2>&1
    "$ocmt" vault put gateway-token --passphrase-file "$scratch/pass" <"$scratch/token" >/dev/null 2>&1
    id=$("$ocmt" container create --image "$1" --port "$port" --gateway-plain --json -- /usr/local/bin/node "$agent" gateway run \
        --allow-unconfigured --bind loopback --port "$port" --auth token | grep -o '[0-9a-f]\{8\}-[0-9a-f-]\{27\}' | head -n 1)
    "$ocmt" container unlock --map OPENCLAW_GATEWAY_TOKEN=gateway-token --passphrase-file "$scratch/pass" >/dev/null 2>&1
}

asks() { # path: the status, how it was woken, the time
    curl --silent --show-error --max-time 60 --output "$scratch/body" --cacert "$scratch/data/pki/ca.pem" \
        --header "ocmt-gateway-token: $("$ocmt" container token "$id")" --write-out '%{http_code} %header{ocmt-wake-kind} %{time_total}' \
        "https://127.0.0.1:7443/gateway/$id$1"
}

is_ready() { [[ $(asks /readyz) == "200 "* ]]; }

# What a program of the agent's own gets: a line for each way, and `got` where one is open.
escapes() {
    cat <<'JS'
const fs = require("fs"), net = require("net"), os = require("os");
const says = (what, got) => console.log(`${what}: ${got}`);
const tries = (what, act) => { try { act(); says(what, "got"); } catch (error) { says(what, error.code ?? error.message); } };
for (const file of ["/etc/passwd", "/ocmt-cell", "/usr/local/bin/node", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"])
  tries(`write ${file}`, () => fs.writeFileSync(file, "x"));
for (const file of ["/proc/1/environ", "/proc/1/mem", "/proc/kcore", "/dev/mem", "/dev/loop0", "/var/run/docker.sock", "/volume/volume.ext4"])
  tries(`read ${file}`, () => { const bytes = Buffer.alloc(16); if (!fs.readSync(fs.openSync(file), bytes)) throw new Error("empty"); });
tries("become root", () => process.setuid(0));
tries("trace the cell", () => fs.readdirSync("/proc/1/fd"));
tries("run what was written", () => {
  fs.copyFileSync("/ocmt-cell", "/tmp/own");
  const { error } = require("child_process").spawnSync("/tmp/own", ["--version"]);
  if (error) throw error;
});
const own = Object.values(os.networkInterfaces()).flat().find((one) => !one.internal).address.split(".").map(Number);
const host = [...own.slice(0, 3), (own[3] & ~7) + 1].join(".");
const ways = [[host, 7443], [host, 22], [host, 2375], ["127.0.0.1", 7443], ["169.254.169.254", 80], ["192.0.2.1", 443]];
(async () => {
  for (const [at, port] of ways)
    says(`connect ${at}:${port}`, await new Promise((done) => {
      const to = net.connect({ host: at, port, timeout: 3000 });
      to.on("connect", () => done("got")).on("error", (error) => done(error.code)).on("timeout", () => done("ETIMEDOUT"));
    }));
  process.exit(0);
})();
JS
}

main() {
    if ! [ -x "$ocmt" ] || ! [ -x "$cell" ]; then
        die "no programs in $target: cargo build -p ocmt; tests/scripts/cell.sh"
    fi
    scratch=$(mktemp -d)
    trap cleanup EXIT
    start_docker "$scratch"
    # shellcheck disable=SC1091 # written by the line above
    . "$scratch/env"
    export DOCKER_HOST
    local image id began=$SECONDS said
    image=$(node/deploy/images/openclaw/build.sh "$cell")
    say "image $image ($((SECONDS - began)) s)"
    world "$image"
    unlocked "$image"
    began=$SECONDS
    wait_for 90 is_ready || die "it is not ready: $(cat "$scratch/body")"
    say "ready $((SECONDS - began)) s after its unlock"
    "$ocmt" container pause >/dev/null 2>&1
    said=$(asks /healthz)
    [[ $said == "200 unpause "* ]] || die "paused, and not woken by a request: $said $(cat "$scratch/body")"
    say "paused, and woken by a request: $said s"
    said=$("$ocmt" container exec --passphrase-file "$scratch/pass" -- /usr/local/bin/node -e "$(escapes)") || die "no attempts: $said"
    say "$said"
    [ "$(grep -c ': ' <<<"$said")" -ge 20 ] || die "not all was tried"
    if grep ': got$' <<<"$said"; then die "there is a way out"; fi
    "$ocmt" security audit --deep --json --config "$scratch/ocmt.toml" >"$scratch/audit.json" 2>/dev/null || true
    if ! grep -q '"containers"' "$scratch/audit.json" || grep -q '"check": *"containers"' "$scratch/audit.json"; then
        die "the audit did not look at the container"
    fi
    if grep -o '"containers\.[a-z_]*"' "$scratch/audit.json"; then die "the container is not as its profile has it"; fi
    "$ocmt" container rm "$id" >/dev/null 2>&1
    say "all as it should be"
}

main "$@"
