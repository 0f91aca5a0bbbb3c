-- Vaults of groups and who takes part in them, twin of ../sqlite/0030_group_vaults.sql.
--
-- Usable from itself on: an earlier program would take a member out of a group and leave them its vault.

CREATE TABLE group_vaults (
    tenant_id BYTEA NOT NULL,
    vault_id  BYTEA NOT NULL,
    group_id  BYTEA NOT NULL,
    due       TEXT COLLATE "C",
    due_since BIGINT,
    PRIMARY KEY (tenant_id, vault_id)
);
CREATE UNIQUE INDEX group_vaults_by_group_id ON group_vaults (tenant_id, group_id);

CREATE TABLE vault_members (
    tenant_id   BYTEA NOT NULL,
    vault_id    BYTEA NOT NULL,
    user_id     BYTEA NOT NULL,
    acceptance  BYTEA NOT NULL,
    admission   BYTEA,
    admitted_by BYTEA,
    slot_id     BYTEA,
    accepted_at BIGINT NOT NULL,
    admitted_at BIGINT,
    PRIMARY KEY (tenant_id, vault_id, user_id)
);
CREATE INDEX vault_members_by_user_id ON vault_members (tenant_id, user_id);
