-- Encrypted copies of volumes, twin of ../sqlite/0024_snapshots.sql.
--
-- Usable from itself on: an earlier program would remove a user and leave their snapshots in the object store.

CREATE TABLE snapshots (
    tenant_id    BYTEA NOT NULL,
    snapshot_id  BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    generation   BIGINT NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    wrapped_key  BYTEA NOT NULL,
    size_bytes   BIGINT NOT NULL,
    content_hash BYTEA,
    verified     BIGINT NOT NULL,
    opened_by    BYTEA,
    failure      TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, snapshot_id)
);
CREATE INDEX snapshots_by_user_id ON snapshots (tenant_id, user_id);
