-- API keys, twin of ../sqlite/0011_api_keys.sql.
--
-- Usable from itself on: an earlier program would leave the keys of whoever recovers a vault, or is removed.

CREATE TABLE api_keys (
    tenant_id    BYTEA NOT NULL,
    api_key_id   BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    scopes       TEXT COLLATE "C" NOT NULL,
    token_hash   BYTEA NOT NULL,
    asked_by     BYTEA NOT NULL,
    mfa          BIGINT NOT NULL,
    passkey      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    PRIMARY KEY (tenant_id, api_key_id)
);
CREATE UNIQUE INDEX api_keys_by_token_hash ON api_keys (tenant_id, token_hash);
CREATE INDEX api_keys_by_user_id ON api_keys (tenant_id, user_id);
