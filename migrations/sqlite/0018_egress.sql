-- Where containers may connect to, twin of ../postgres/0018_egress.sql.
--
-- Usable from itself on: an earlier program would remove a container and leave its policy standing.

CREATE TABLE egress_policies (
    tenant_id  BLOB NOT NULL,
    subject    TEXT NOT NULL,
    policy     BLOB NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, subject)
) STRICT;
CREATE TABLE egress_use (
    tenant_id    BLOB NOT NULL,
    container_id BLOB NOT NULL,
    day          INTEGER NOT NULL,
    sent         INTEGER NOT NULL,
    received     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, container_id)
) STRICT;
