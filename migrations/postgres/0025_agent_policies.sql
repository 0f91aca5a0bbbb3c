-- What agents may do, twin of ../sqlite/0025_agent_policies.sql.
--
-- Usable from itself on: an earlier program would start agents without it.

CREATE TABLE agent_policies (
    tenant_id  BYTEA NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    policy     BYTEA NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);
