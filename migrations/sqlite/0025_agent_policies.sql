-- What agents may do, twin of ../postgres/0025_agent_policies.sql.
--
-- Usable from itself on: an earlier program would start agents without it.

CREATE TABLE agent_policies (
    tenant_id  BLOB NOT NULL,
    subject    TEXT NOT NULL,
    policy     BLOB NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, subject)
) STRICT;
