-- Passkeys, twin of ../sqlite/0007_passkeys.sql.
--
-- Usable from version 7 on: a program that knows nothing of passkeys would take an account that has nothing else
-- for one without a second factor.

CREATE TABLE passkeys (
    tenant_id       BYTEA NOT NULL,
    passkey_id      BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    credential_hash BYTEA NOT NULL,
    credential      BYTEA NOT NULL,
    created_at      BIGINT NOT NULL,
    last_used_at    BIGINT,
    PRIMARY KEY (tenant_id, passkey_id)
);
CREATE UNIQUE INDEX passkeys_by_credential_hash ON passkeys (tenant_id, credential_hash);
CREATE INDEX passkeys_by_user_id ON passkeys (tenant_id, user_id);

CREATE TABLE passkey_challenges (
    tenant_id    BYTEA NOT NULL,
    challenge_id BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    session_id   BYTEA NOT NULL,
    wish         TEXT COLLATE "C" NOT NULL,
    binding_hash BYTEA,
    state        BYTEA NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, challenge_id)
);
CREATE INDEX passkey_challenges_by_session_id ON passkey_challenges (tenant_id, session_id);

CREATE TABLE passkey_directory (
    credential_hash BYTEA NOT NULL,
    tenant_id       BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    PRIMARY KEY (credential_hash)
);
CREATE INDEX passkey_directory_by_tenant_id ON passkey_directory (tenant_id);

CREATE TABLE passkey_sign_ins (
    assertion_id BYTEA NOT NULL,
    binding_hash BYTEA NOT NULL,
    state        BYTEA NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (assertion_id)
);
CREATE INDEX passkey_sign_ins_by_expires_at ON passkey_sign_ins (expires_at);

ALTER TABLE users ADD COLUMN passkeys BIGINT NOT NULL DEFAULT 0;
