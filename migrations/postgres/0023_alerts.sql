-- Where alerts of tenants go, twin of ../sqlite/0023_alerts.sql.
--
-- Usable from itself on: an earlier program would give up a sealing key that channels are still under.

CREATE TABLE alert_channels (
    tenant_id    BYTEA NOT NULL,
    channel_id   BYTEA NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    hint         TEXT COLLATE "C" NOT NULL,
    wrapped      BYTEA NOT NULL,
    min_severity BIGINT NOT NULL,
    actions      TEXT COLLATE "C" NOT NULL,
    updated_at   BIGINT NOT NULL,
    verified_at  BIGINT,
    tested_at    BIGINT,
    ends_at      BIGINT,
    PRIMARY KEY (tenant_id, channel_id)
);
CREATE TABLE alert_groups (
    tenant_id  BYTEA NOT NULL,
    channel_id BYTEA NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    told_at    BIGINT NOT NULL,
    held       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, channel_id, action)
);
