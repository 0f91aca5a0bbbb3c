-- What operators set for a tenant. Twin of ../sqlite/0003_limits.sql.

CREATE TABLE quotas (
    tenant_id        BYTEA NOT NULL,
    users            BIGINT NOT NULL,
    containers       BIGINT NOT NULL,
    memory_bytes     BIGINT NOT NULL,
    storage_bytes    BIGINT NOT NULL,
    calls_per_minute BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);

CREATE TABLE usage (
    tenant_id     BYTEA NOT NULL,
    storage_bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);

CREATE TABLE suspensions (
    tenant_id BYTEA NOT NULL,
    since     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);
