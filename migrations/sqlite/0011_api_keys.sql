-- API keys, twin of ../postgres/0011_api_keys.sql.
--
-- Usable from itself on: an earlier program would leave the keys of whoever recovers a vault, or is removed.

CREATE TABLE api_keys (
    tenant_id    BLOB NOT NULL,
    api_key_id   BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    token_hash   BLOB NOT NULL,
    asked_by     BLOB NOT NULL,
    mfa          INTEGER NOT NULL,
    passkey      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (tenant_id, api_key_id)
) STRICT;
CREATE UNIQUE INDEX api_keys_by_token_hash ON api_keys (tenant_id, token_hash);
CREATE INDEX api_keys_by_user_id ON api_keys (tenant_id, user_id);
