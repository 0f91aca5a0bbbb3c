-- Tenants that are to be erased, and those that were, twin of ../sqlite/0010_deletion.sql.
--
-- Usable from version 9 on: a program of before leaves the timer of a deletion to a newer one.

CREATE TABLE deletions (
    tenant_id  BYTEA NOT NULL,
    asked_by   TEXT COLLATE "C" NOT NULL,
    asked_at   BIGINT NOT NULL,
    erases_at  BIGINT NOT NULL,
    began_at   BIGINT,
    found      TEXT COLLATE "C",
    erased     TEXT COLLATE "C",
    PRIMARY KEY (tenant_id)
);

CREATE TABLE deleted_tenants (
    tenant     BYTEA NOT NULL,
    deleted_at BIGINT NOT NULL,
    node_id    BYTEA NOT NULL,
    statement  BYTEA NOT NULL,
    signature  BYTEA NOT NULL,
    PRIMARY KEY (tenant)
);
