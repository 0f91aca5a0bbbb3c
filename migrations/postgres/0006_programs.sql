-- Tokens of programs. Each table is the row type of the same name in cluster/store/src/tables, as in 0001.
--
-- An earlier program would leave them their tokens when a vault was recovered, so this step is usable from itself
-- on (ADR 0011).

CREATE TABLE program_tokens (
    tenant_id        BYTEA NOT NULL,
    program_token_id BYTEA NOT NULL,
    user_id          BYTEA NOT NULL,
    vault_id         BYTEA NOT NULL,
    name             TEXT COLLATE "C" NOT NULL,
    token_hash       BYTEA NOT NULL,
    program_key      BYTEA NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, program_token_id)
);
CREATE UNIQUE INDEX program_tokens_by_token_hash ON program_tokens (tenant_id, token_hash);
CREATE INDEX program_tokens_by_user_id ON program_tokens (tenant_id, user_id);

CREATE TABLE program_grants (
    tenant_id        BYTEA NOT NULL,
    program_token_id BYTEA NOT NULL,
    object_id        BYTEA NOT NULL,
    version          BIGINT NOT NULL,
    sealed_grant     BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, program_token_id, object_id)
);
