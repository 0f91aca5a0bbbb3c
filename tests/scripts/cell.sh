#!/usr/bin/env bash
# Builds what goes into containers: `ocmt-cell` and the demo's workload, static, so that they need no image.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

triple=x86_64-unknown-linux-gnu
folder=${CARGO_TARGET_DIR:-target}/$triple/cell

# flags of a release (tests/scripts/release.sh) are kept
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --profile cell --target "$triple" --locked -p ocmt-cell --bins

# a cell that needs a dynamic loader would fail only inside a container, and say nothing there
for program in ocmt-cell ocmt-demo-workload; do
    if LC_ALL=C readelf --program-headers "$folder/$program" | grep -q INTERP; then
        echo "error: $folder/$program is not static" >&2
        exit 1
    fi
done
