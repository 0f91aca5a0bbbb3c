-- Second factors of sign-in, twin of ../postgres/0004_factors.sql.
--
-- Usable from version 4 on: a program that knows nothing of second factors would let in whoever has one without
-- asking for it, and would erase a sealing key under which TOTP secrets are wrapped.

CREATE TABLE totp_enrollments (
    tenant_id     BLOB NOT NULL,
    user_id       BLOB NOT NULL,
    enrollment_id BLOB NOT NULL,
    wrapped       BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) STRICT;

CREATE TABLE backup_codes (
    tenant_id  BLOB NOT NULL,
    user_id    BLOB NOT NULL,
    code_hash  BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, code_hash)
) STRICT;

CREATE TABLE factor_attempts (
    tenant_id  BLOB NOT NULL,
    user_id    BLOB NOT NULL,
    factor     TEXT NOT NULL,
    failures   INTEGER NOT NULL,
    failed_at  INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, factor)
) STRICT;

ALTER TABLE sessions ADD COLUMN address TEXT;
