-- What happens to containers: schedules by which they wake, and events for those who watch. Twin of ../sqlite/0019_life.sql.
--
-- Usable from itself on: an earlier program would remove a container or a user and leave their schedules standing, and change a container
-- and tell no watcher.

CREATE TABLE schedules (
    tenant_id    BYTEA NOT NULL,
    schedule_id  BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    cron         TEXT COLLATE "C" NOT NULL,
    time_zone    TEXT COLLATE "C" NOT NULL,
    enabled      BIGINT NOT NULL,
    next_at      BIGINT,
    last_at      BIGINT,
    ordered_at   BIGINT,
    tries        BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, schedule_id)
);
CREATE INDEX schedules_by_container_id ON schedules (tenant_id, container_id);
CREATE INDEX schedules_by_user_id ON schedules (tenant_id, user_id);

CREATE TABLE container_events (
    tenant_id    BYTEA NOT NULL,
    seq          BIGINT NOT NULL,
    container_id BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    generation   BIGINT NOT NULL,
    cause        TEXT COLLATE "C",
    wait_until   BIGINT,
    at           BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
