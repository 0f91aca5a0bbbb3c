-- Second factors of sign-in, twin of ../sqlite/0004_factors.sql.
--
-- Usable from version 4 on: a program that knows nothing of second factors would let in whoever has one without
-- asking for it, and would erase a sealing key under which TOTP secrets are wrapped.

CREATE TABLE totp_enrollments (
    tenant_id     BYTEA NOT NULL,
    user_id       BYTEA NOT NULL,
    enrollment_id BYTEA NOT NULL,
    wrapped       BYTEA NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE backup_codes (
    tenant_id  BYTEA NOT NULL,
    user_id    BYTEA NOT NULL,
    code_hash  BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, code_hash)
);

CREATE TABLE factor_attempts (
    tenant_id  BYTEA NOT NULL,
    user_id    BYTEA NOT NULL,
    factor     TEXT COLLATE "C" NOT NULL,
    failures   BIGINT NOT NULL,
    failed_at  BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, factor)
);

ALTER TABLE sessions ADD COLUMN address TEXT COLLATE "C";
