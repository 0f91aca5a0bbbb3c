-- Conversations and their sealed records, twin of ../postgres/0015_transcripts.sql.
--
-- Usable from itself on: an earlier program would delete the key of a conversation that is there, and leave the records
-- of a tenant that it deletes.

CREATE TABLE conversations (
    tenant_id       BLOB NOT NULL,
    conversation_id BLOB NOT NULL,
    owner_user      BLOB NOT NULL,
    vault_id        BLOB NOT NULL,
    key_object      BLOB NOT NULL,
    container_id    BLOB,
    first_sequence  INTEGER NOT NULL,
    before_tag      BLOB NOT NULL,
    next_sequence   INTEGER NOT NULL,
    last_tag        BLOB NOT NULL,
    last_epoch      INTEGER NOT NULL,
    finished        INTEGER NOT NULL,
    total_bytes     INTEGER NOT NULL,
    pruned_bytes    INTEGER NOT NULL,
    pruned          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id)
) STRICT;
CREATE INDEX conversations_by_owner_user_updated_at ON conversations (tenant_id, owner_user, updated_at);
CREATE INDEX conversations_by_vault_id_key_object ON conversations (tenant_id, vault_id, key_object);
CREATE INDEX conversations_by_pruned_updated_at ON conversations (tenant_id, pruned, updated_at);

CREATE TABLE transcript_records (
    tenant_id       BLOB NOT NULL,
    conversation_id BLOB NOT NULL,
    sequence        INTEGER NOT NULL,
    record          BLOB NOT NULL,
    total_bytes     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, sequence)
) STRICT;
