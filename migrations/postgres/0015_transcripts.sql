-- Conversations and their sealed records.
--
-- Usable from itself on: an earlier program would delete the key of a conversation that is there, and leave the records
-- of a tenant that it deletes.

CREATE TABLE conversations (
    tenant_id       BYTEA NOT NULL,
    conversation_id BYTEA NOT NULL,
    owner_user      BYTEA NOT NULL,
    vault_id        BYTEA NOT NULL,
    key_object      BYTEA NOT NULL,
    container_id    BYTEA,
    first_sequence  BIGINT NOT NULL,
    before_tag      BYTEA NOT NULL,
    next_sequence   BIGINT NOT NULL,
    last_tag        BYTEA NOT NULL,
    last_epoch      BIGINT NOT NULL,
    finished        BIGINT NOT NULL,
    total_bytes     BIGINT NOT NULL,
    pruned_bytes    BIGINT NOT NULL,
    pruned          BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id)
);
CREATE INDEX conversations_by_owner_user_updated_at ON conversations (tenant_id, owner_user, updated_at);
CREATE INDEX conversations_by_vault_id_key_object ON conversations (tenant_id, vault_id, key_object);
CREATE INDEX conversations_by_pruned_updated_at ON conversations (tenant_id, pruned, updated_at);

CREATE TABLE transcript_records (
    tenant_id       BYTEA NOT NULL,
    conversation_id BYTEA NOT NULL,
    sequence        BIGINT NOT NULL,
    record          BYTEA NOT NULL,
    total_bytes     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, sequence)
);
