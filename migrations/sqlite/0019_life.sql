-- What happens to containers: schedules by which they wake, and events for those who watch. Twin of ../postgres/0019_life.sql.
--
-- Usable from itself on: an earlier program would remove a container or a user and leave their schedules standing, and change a container
-- and tell no watcher.

CREATE TABLE schedules (
    tenant_id    BLOB NOT NULL,
    schedule_id  BLOB NOT NULL,
    container_id BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    cron         TEXT NOT NULL,
    time_zone    TEXT NOT NULL,
    enabled      INTEGER NOT NULL,
    next_at      INTEGER,
    last_at      INTEGER,
    ordered_at   INTEGER,
    tries        INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, schedule_id)
) STRICT;
CREATE INDEX schedules_by_container_id ON schedules (tenant_id, container_id);
CREATE INDEX schedules_by_user_id ON schedules (tenant_id, user_id);

CREATE TABLE container_events (
    tenant_id    BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    container_id BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    kind         TEXT NOT NULL,
    state        TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    cause        TEXT,
    wait_until   INTEGER,
    at           INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, seq)
) STRICT;
