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

-- Groups

CREATE TABLE user_groups (
    tenant_id  BLOB NOT NULL,
    group_id   BLOB NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, group_id)
) STRICT;
CREATE UNIQUE INDEX user_groups_by_name ON user_groups (tenant_id, name);

CREATE TABLE group_members (
    tenant_id BLOB NOT NULL,
    group_id  BLOB NOT NULL,
    user_id   BLOB NOT NULL,
    role      TEXT NOT NULL,
    added_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, group_id, user_id)
) STRICT;
CREATE INDEX group_members_by_user_id ON group_members (tenant_id, user_id);

CREATE TABLE group_resources (
    tenant_id    BLOB NOT NULL,
    resource_id  BLOB NOT NULL,
    group_id     BLOB NOT NULL,
    container_id BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, resource_id)
) STRICT;
CREATE UNIQUE INDEX group_resources_by_group_id ON group_resources (tenant_id, group_id, container_id);
CREATE INDEX group_resources_by_container_id ON group_resources (tenant_id, container_id);

-- Senders on messengers

CREATE TABLE pairings (
    tenant_id    BLOB NOT NULL,
    pairing_id   BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    container_id BLOB NOT NULL,
    channel      TEXT NOT NULL,
    sender_id    TEXT NOT NULL,
    display_name TEXT NOT NULL,
    code_hash    BLOB NOT NULL,
    asked_by     BLOB NOT NULL,
    attempts     INTEGER NOT NULL,
    rejected     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, pairing_id)
) STRICT;
CREATE UNIQUE INDEX pairings_by_sender_id ON pairings (tenant_id, container_id, channel, sender_id);
CREATE INDEX pairings_by_user_id ON pairings (tenant_id, user_id);

CREATE TABLE paired_senders (
    tenant_id    BLOB NOT NULL,
    sender_ref   BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    container_id BLOB NOT NULL,
    channel      TEXT NOT NULL,
    sender_id    TEXT NOT NULL,
    display_name TEXT NOT NULL,
    approved_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, sender_ref)
) STRICT;
CREATE UNIQUE INDEX paired_senders_by_sender_id ON paired_senders (tenant_id, container_id, channel, sender_id);
CREATE INDEX paired_senders_by_user_id ON paired_senders (tenant_id, user_id);
