-- What operators set for a tenant. Twin of ../postgres/0003_limits.sql.

CREATE TABLE quotas (
    tenant_id        BLOB NOT NULL,
    users            INTEGER NOT NULL,
    containers       INTEGER NOT NULL,
    memory_bytes     INTEGER NOT NULL,
    storage_bytes    INTEGER NOT NULL,
    calls_per_minute INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;

CREATE TABLE usage (
    tenant_id     BLOB NOT NULL,
    storage_bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;

CREATE TABLE suspensions (
    tenant_id BLOB NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;
