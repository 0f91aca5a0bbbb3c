-- Vaults of groups and who takes part in them, twin of ../postgres/0030_group_vaults.sql.
--
-- Usable from itself on: an earlier program would take a member out of a group and leave them its vault.

CREATE TABLE group_vaults (
    tenant_id BLOB NOT NULL,
    vault_id  BLOB NOT NULL,
    group_id  BLOB NOT NULL,
    due       TEXT,
    due_since INTEGER,
    PRIMARY KEY (tenant_id, vault_id)
) STRICT;
CREATE UNIQUE INDEX group_vaults_by_group_id ON group_vaults (tenant_id, group_id);

CREATE TABLE vault_members (
    tenant_id   BLOB NOT NULL,
    vault_id    BLOB NOT NULL,
    user_id     BLOB NOT NULL,
    acceptance  BLOB NOT NULL,
    admission   BLOB,
    admitted_by BLOB,
    slot_id     BLOB,
    accepted_at INTEGER NOT NULL,
    admitted_at INTEGER,
    PRIMARY KEY (tenant_id, vault_id, user_id)
) STRICT;
CREATE INDEX vault_members_by_user_id ON vault_members (tenant_id, user_id);
