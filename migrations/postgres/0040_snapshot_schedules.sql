-- Snapshots by schedule. Twin of ../sqlite/0040_snapshot_schedules.sql.
--
-- Usable from itself on: an earlier program would remove a container or a user and leave their schedule standing.

ALTER TABLE snapshots ADD COLUMN schedule BIGINT;
ALTER TABLE snapshots ADD COLUMN sealed_key BYTEA;
ALTER TABLE snapshots ADD COLUMN statement BYTEA;
ALTER TABLE snapshots ADD COLUMN chain BYTEA;
ALTER TABLE snapshots ADD COLUMN opened BIGINT NOT NULL DEFAULT 0;

CREATE TABLE snapshot_schedules (
    tenant_id    BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    signed       BYTEA NOT NULL,
    signer       BYTEA NOT NULL,
    number       BIGINT NOT NULL,
    vault_epoch  BIGINT NOT NULL,
    next_at      BIGINT,
    last_at      BIGINT,
    due_at       BIGINT,
    snapshot_id  BYTEA,
    tries        BIGINT NOT NULL,
    rests        TEXT COLLATE "C",
    failure      TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, container_id)
);
CREATE INDEX snapshot_schedules_by_user_id ON snapshot_schedules (tenant_id, user_id);
