-- Teams. Each table is the row type of the same name in cluster/store/src/tables, as in 0001.
--
-- An earlier program would give a custom role all of the role that it narrows, so this step is usable from
-- itself on (ADR 0011).

ALTER TABLE users ADD COLUMN custom_role TEXT;
ALTER TABLE invites ADD COLUMN custom_role TEXT;

CREATE TABLE roles (
    tenant_id   BLOB NOT NULL,
    role_id     TEXT NOT NULL,
    base        TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, role_id)
) STRICT;
