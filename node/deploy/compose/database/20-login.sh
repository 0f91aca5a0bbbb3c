#!/usr/bin/env bash
# Run once by the database's image, after roles.sql: the login that the nodes share. It owns nothing; what it may
# do it does in the roles that it assumes.
set -euo pipefail

password=$(cat /run/secrets/database_password)
# over standard input: an argument would show in the process list
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<SQL
CREATE ROLE ocmt_node LOGIN NOINHERIT PASSWORD '$password' IN ROLE ocmt_tenant, ocmt_cluster, ocmt_migrate;
SQL
