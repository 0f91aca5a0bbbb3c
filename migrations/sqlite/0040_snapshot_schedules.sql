-- Snapshots by schedule. Twin of ../postgres/0040_snapshot_schedules.sql.
--
-- Usable from itself on: an earlier program would remove a container or a user and leave their schedule standing.

ALTER TABLE snapshots ADD COLUMN schedule INTEGER;
ALTER TABLE snapshots ADD COLUMN sealed_key BLOB;
ALTER TABLE snapshots ADD COLUMN statement BLOB;
ALTER TABLE snapshots ADD COLUMN chain BLOB;
ALTER TABLE snapshots ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;

CREATE TABLE snapshot_schedules (
    tenant_id    BLOB NOT NULL,
    container_id BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    signed       BLOB NOT NULL,
    signer       BLOB NOT NULL,
    number       INTEGER NOT NULL,
    vault_epoch  INTEGER NOT NULL,
    next_at      INTEGER,
    last_at      INTEGER,
    due_at       INTEGER,
    snapshot_id  BLOB,
    tries        INTEGER NOT NULL,
    rests        TEXT,
    failure      TEXT,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, container_id)
) STRICT;
CREATE INDEX snapshot_schedules_by_user_id ON snapshot_schedules (tenant_id, user_id);
