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

-- Groups

CREATE TABLE user_groups (
    tenant_id  BYTEA NOT NULL,
    group_id   BYTEA NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, group_id)
);
CREATE UNIQUE INDEX user_groups_by_name ON user_groups (tenant_id, name);

CREATE TABLE group_members (
    tenant_id BYTEA NOT NULL,
    group_id  BYTEA NOT NULL,
    user_id   BYTEA NOT NULL,
    role      TEXT COLLATE "C" NOT NULL,
    added_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, group_id, user_id)
);
CREATE INDEX group_members_by_user_id ON group_members (tenant_id, user_id);

CREATE TABLE group_resources (
    tenant_id    BYTEA NOT NULL,
    resource_id  BYTEA NOT NULL,
    group_id     BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, resource_id)
);
CREATE UNIQUE INDEX group_resources_by_group_id ON group_resources (tenant_id, group_id, container_id);
CREATE INDEX group_resources_by_container_id ON group_resources (tenant_id, container_id);

-- Senders on messengers

CREATE TABLE pairings (
    tenant_id    BYTEA NOT NULL,
    pairing_id   BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    channel      TEXT COLLATE "C" NOT NULL,
    sender_id    TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    code_hash    BYTEA NOT NULL,
    asked_by     BYTEA NOT NULL,
    attempts     BIGINT NOT NULL,
    rejected     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, pairing_id)
);
CREATE UNIQUE INDEX pairings_by_sender_id ON pairings (tenant_id, container_id, channel, sender_id);
CREATE INDEX pairings_by_user_id ON pairings (tenant_id, user_id);

CREATE TABLE paired_senders (
    tenant_id    BYTEA NOT NULL,
    sender_ref   BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    channel      TEXT COLLATE "C" NOT NULL,
    sender_id    TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    approved_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, sender_ref)
);
CREATE UNIQUE INDEX paired_senders_by_sender_id ON paired_senders (tenant_id, container_id, channel, sender_id);
CREATE INDEX paired_senders_by_user_id ON paired_senders (tenant_id, user_id);
