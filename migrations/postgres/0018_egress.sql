-- Where containers may connect to, twin of ../sqlite/0018_egress.sql.
--
-- Usable from itself on: an earlier program would remove a container and leave its policy standing.

CREATE TABLE egress_policies (
    tenant_id  BYTEA NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    policy     BYTEA NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);
CREATE TABLE egress_use (
    tenant_id    BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    day          BIGINT NOT NULL,
    sent         BIGINT NOT NULL,
    received     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, container_id)
);
