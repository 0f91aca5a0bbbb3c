-- Passkeys, twin of ../postgres/0007_passkeys.sql.
--
-- Usable from version 7 on: a program that knows nothing of passkeys would take an account that has nothing else
-- for one without a second factor.

CREATE TABLE passkeys (
    tenant_id       BLOB NOT NULL,
    passkey_id      BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    name            TEXT NOT NULL,
    credential_hash BLOB NOT NULL,
    credential      BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER,
    PRIMARY KEY (tenant_id, passkey_id)
) STRICT;
CREATE UNIQUE INDEX passkeys_by_credential_hash ON passkeys (tenant_id, credential_hash);
CREATE INDEX passkeys_by_user_id ON passkeys (tenant_id, user_id);

CREATE TABLE passkey_challenges (
    tenant_id    BLOB NOT NULL,
    challenge_id BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    session_id   BLOB NOT NULL,
    wish         TEXT NOT NULL,
    binding_hash BLOB,
    state        BLOB NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, challenge_id)
) STRICT;
CREATE INDEX passkey_challenges_by_session_id ON passkey_challenges (tenant_id, session_id);

CREATE TABLE passkey_directory (
    credential_hash BLOB NOT NULL,
    tenant_id       BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    PRIMARY KEY (credential_hash)
) STRICT;
CREATE INDEX passkey_directory_by_tenant_id ON passkey_directory (tenant_id);

CREATE TABLE passkey_sign_ins (
    assertion_id BLOB NOT NULL,
    binding_hash BLOB NOT NULL,
    state        BLOB NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (assertion_id)
) STRICT;
CREATE INDEX passkey_sign_ins_by_expires_at ON passkey_sign_ins (expires_at);

ALTER TABLE users ADD COLUMN passkeys INTEGER NOT NULL DEFAULT 0;
