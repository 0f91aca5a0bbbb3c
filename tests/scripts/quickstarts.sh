#!/usr/bin/env bash
# Runs the quickstarts of docs/quickstarts.md as a newcomer would, each against a node of its own for development.
#
#   quickstarts.sh          all; wants the programs of `cargo build --workspace --bins --examples` and tests/scripts/cell.sh
#
# Clients come from PyPI and npm by lock file and digest, into target/tools.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/scripts/lib.sh
. "$here/lib.sh"
cd "$here/../.."

target=$(realpath --canonicalize-missing -- "${CARGO_TARGET_DIR:-target}")
ocmt=${OCMT_TEST_BIN:-$target/debug}/ocmt
scratch=
node=

cleanup() {
    exec 7>&- || true
    [ -z "$node" ] || end_process "$node" 10
    [ -z "$scratch" ] || rm -rf -- "$scratch"
}

# A node, somebody who signed up, a stopped container and an API key.
world() {
    local port
    port=7443 # where `ocmt dev` listens
    export OCMT_STATE_DIR=$scratch/state
    mkdir -p "$scratch"
    (cd "$scratch" && exec "$ocmt" dev --runtime process >node.log 2>&1) &
    node=$!
    wait_for 120 grep -q 'Links are printed here' "$scratch/node.log" || die "no node: $(tail -n 5 "$scratch/node.log")"
    mkfifo "$scratch/link"
    "$ocmt" login --sign-up --email you@example.org --tenant-name Home --endpoint "https://127.0.0.1:$port" \
        --ca "$scratch/.ocmt/pki/ca.pem" <"$scratch/link" >"$scratch/login.log" 2>&1 &
    local login=$!
    exec 7>"$scratch/link"
    wait_for 120 grep -q 'https://.*/auth/link/' "$scratch/node.log" || die "no link: $(cat "$scratch/login.log")"
    grep -o 'https://.*/auth/link/[^ ]*' "$scratch/node.log" | tail -n 1 >&7
    wait "$login" || die "not signed in: $(cat "$scratch/login.log")"
    "$ocmt" container create >/dev/null 2>&1
    "$ocmt" api-key create quickstart --scope container.read --scope container.use --scope audit.read \
        --out "$scratch/key" >/dev/null
    OCMT_CA=$scratch/.ocmt/pki/ca.pem
    OCMT_API_KEY=$(cat "$scratch/key")
    authority=127.0.0.1:$port
    export OCMT_CA OCMT_API_KEY
}

# What each of them has to show: a container that slept and was woken, and the audit.
shows() { # name, endpoint, command...
    local name=$1 said
    OCMT_ENDPOINT=$2
    export OCMT_ENDPOINT
    shift 2
    env -u OCMT_API_KEY -u OCMT_ENDPOINT "$ocmt" container stop >/dev/null 2>&1
    said=$("$@" 2>&1) || die "$name failed: $said"
    grep -q '^  woke start [0-9]* ms$' <<<"$said" || die "$name woke nothing: $said"
    grep -q '^1 AuthService/ExchangeMagicLink' <<<"$said" || die "$name showed no audit: $said"
    if said=$(OCMT_API_KEY=ocmt_key_nobodys "$@" 2>&1); then die "$name took a key that is none: $said"; fi
    say "quickstart in $name: ok"
}

python_client() {
    local venv=$target/tools/quickstart-python
    if [ ! -e "$venv/whole" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
            --requirement docs/quickstarts/python/requirements.txt
        touch "$venv/whole"
    fi
    mkdir -p "$scratch/python/gen"
    cp docs/quickstarts/python/quickstart.py "$scratch/python"
    # shellcheck disable=SC2046 # names without spaces
    "$venv/bin/python" -m grpc_tools.protoc -I proto --python_out="$scratch/python/gen" \
        --grpc_python_out="$scratch/python/gen" $(cd proto && ls ocmt/v1/*.proto) 2>/dev/null
    shows Python "$authority" "$venv/bin/python" "$scratch/python/quickstart.py"
}

typescript_client() {
    local folder=$target/tools/quickstart-typescript/docs/quickstarts/typescript
    mkdir -p "$folder"
    ln -sfn "$PWD/proto" "$target/tools/quickstart-typescript/proto"
    cp docs/quickstarts/typescript/* "$folder"
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
    shows TypeScript "$authority" npm --prefix "$folder" --silent start
}

main() {
    scratch=$(mktemp -d)
    trap cleanup EXIT
    world
    shows Rust "https://$authority" "$target/debug/examples/quickstart"
    python_client
    typescript_client
}

main "$@"
