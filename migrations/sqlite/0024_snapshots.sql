-- Encrypted copies of volumes, twin of ../postgres/0024_snapshots.sql.
--
-- Usable from itself on: an earlier program would remove a user and leave their snapshots in the object store.

CREATE TABLE snapshots (
    tenant_id    BLOB NOT NULL,
    snapshot_id  BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    container_id BLOB NOT NULL,
    generation   INTEGER NOT NULL,
    state        TEXT NOT NULL,
    wrapped_key  BLOB NOT NULL,
    size_bytes   INTEGER NOT NULL,
    content_hash BLOB,
    verified     INTEGER NOT NULL,
    opened_by    BLOB,
    failure      TEXT,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, snapshot_id)
) STRICT;
CREATE INDEX snapshots_by_user_id ON snapshots (tenant_id, user_id);
