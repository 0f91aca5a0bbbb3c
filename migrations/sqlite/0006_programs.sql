-- Tokens of programs. Each table is the row type of the same name in cluster/store/src/tables, as in 0001.
--
-- An earlier program would leave them their tokens when a vault was recovered, so this step is usable from itself
-- on (ADR 0011).

CREATE TABLE program_tokens (
    tenant_id        BLOB NOT NULL,
    program_token_id BLOB NOT NULL,
    user_id          BLOB NOT NULL,
    vault_id         BLOB NOT NULL,
    name             TEXT NOT NULL,
    token_hash       BLOB NOT NULL,
    program_key      BLOB NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, program_token_id)
) STRICT;
CREATE UNIQUE INDEX program_tokens_by_token_hash ON program_tokens (tenant_id, token_hash);
CREATE INDEX program_tokens_by_user_id ON program_tokens (tenant_id, user_id);

CREATE TABLE program_grants (
    tenant_id        BLOB NOT NULL,
    program_token_id BLOB NOT NULL,
    object_id        BLOB NOT NULL,
    version          INTEGER NOT NULL,
    sealed_grant     BLOB NOT NULL,
    PRIMARY KEY (tenant_id, program_token_id, object_id)
) STRICT;
