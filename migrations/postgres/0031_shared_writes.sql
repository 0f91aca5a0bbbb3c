-- Shares that may write: what each may do to which entry, and what their takers sent, twin of
-- ../sqlite/0031_shared_writes.sql.
--
-- Usable from itself on: an earlier program would end a share and leave what its taker sent to be filed.

CREATE TABLE share_rights (
    tenant_id     BYTEA NOT NULL,
    share_id      BYTEA NOT NULL,
    object_id     BYTEA NOT NULL,
    version       BIGINT NOT NULL,
    body_hash     BYTEA NOT NULL,
    write_grant   BYTEA NOT NULL,
    next_sequence BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, share_id, object_id)
);

CREATE TABLE shared_writes (
    tenant_id  BYTEA NOT NULL,
    write_id   BYTEA NOT NULL,
    vault_id   BYTEA NOT NULL,
    share_id   BYTEA NOT NULL,
    object_id  BYTEA NOT NULL,
    is_delete  BIGINT NOT NULL,
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, write_id)
);
CREATE INDEX shared_writes_by_vault_id ON shared_writes (tenant_id, vault_id);
CREATE INDEX shared_writes_by_share_id ON shared_writes (tenant_id, share_id);
