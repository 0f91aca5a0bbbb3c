-- Tenants that are to be erased, and those that were, twin of ../postgres/0010_deletion.sql.
--
-- Usable from version 9 on: a program of before leaves the timer of a deletion to a newer one.

CREATE TABLE deletions (
    tenant_id  BLOB NOT NULL,
    asked_by   TEXT NOT NULL,
    asked_at   INTEGER NOT NULL,
    erases_at  INTEGER NOT NULL,
    began_at   INTEGER,
    found      TEXT,
    erased     TEXT,
    PRIMARY KEY (tenant_id)
) STRICT;

CREATE TABLE deleted_tenants (
    tenant     BLOB NOT NULL,
    deleted_at INTEGER NOT NULL,
    node_id    BLOB NOT NULL,
    statement  BLOB NOT NULL,
    signature  BLOB NOT NULL,
    PRIMARY KEY (tenant)
) STRICT;
