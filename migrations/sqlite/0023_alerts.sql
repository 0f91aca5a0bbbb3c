-- Where alerts of tenants go, twin of ../postgres/0023_alerts.sql.
--
-- Usable from itself on: an earlier program would give up a sealing key that channels are still under.

CREATE TABLE alert_channels (
    tenant_id    BLOB NOT NULL,
    channel_id   BLOB NOT NULL,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    hint         TEXT NOT NULL,
    wrapped      BLOB NOT NULL,
    min_severity INTEGER NOT NULL,
    actions      TEXT NOT NULL,
    updated_at   INTEGER NOT NULL,
    verified_at  INTEGER,
    tested_at    INTEGER,
    ends_at      INTEGER,
    PRIMARY KEY (tenant_id, channel_id)
) STRICT;
CREATE TABLE alert_groups (
    tenant_id  BLOB NOT NULL,
    channel_id BLOB NOT NULL,
    action     TEXT NOT NULL,
    told_at    INTEGER NOT NULL,
    held       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, channel_id, action)
) STRICT;
