#!/usr/bin/env bash
# Makes secrets/ beside this file: one random password a file, kept if it is there.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
umask 077
mkdir -p secrets
for name in database_password postgres_password; do
    [ -e "secrets/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
done
# the node's user in the container reads its password; nobody else on this machine does
if [ "$(id -u)" -eq 0 ]; then chown 10001 secrets/database_password; fi
