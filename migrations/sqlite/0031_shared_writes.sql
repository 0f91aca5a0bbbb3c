-- Shares that may write: what each may do to which entry, and what their takers sent, twin of
-- ../postgres/0031_shared_writes.sql.
--
-- Usable from itself on: an earlier program would end a share and leave what its taker sent to be filed.

CREATE TABLE share_rights (
    tenant_id     BLOB NOT NULL,
    share_id      BLOB NOT NULL,
    object_id     BLOB NOT NULL,
    version       INTEGER NOT NULL,
    body_hash     BLOB NOT NULL,
    write_grant   BLOB NOT NULL,
    next_sequence INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, share_id, object_id)
) STRICT;

CREATE TABLE shared_writes (
    tenant_id  BLOB NOT NULL,
    write_id   BLOB NOT NULL,
    vault_id   BLOB NOT NULL,
    share_id   BLOB NOT NULL,
    object_id  BLOB NOT NULL,
    is_delete  INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, write_id)
) STRICT;
CREATE INDEX shared_writes_by_vault_id ON shared_writes (tenant_id, vault_id);
CREATE INDEX shared_writes_by_share_id ON shared_writes (tenant_id, share_id);
