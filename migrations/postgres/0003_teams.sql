-- Teams. Each table is the row type of the same name in cluster/store/src/tables, as in 0001.
--
-- An earlier program would give a custom role all of the role that it narrows, so this step is usable from
-- itself on (ADR 0011).

ALTER TABLE users ADD COLUMN custom_role TEXT COLLATE "C";
ALTER TABLE invites ADD COLUMN custom_role TEXT COLLATE "C";

CREATE TABLE roles (
    tenant_id   BYTEA NOT NULL,
    role_id     TEXT COLLATE "C" NOT NULL,
    base        TEXT COLLATE "C" NOT NULL,
    permissions TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, role_id)
);
