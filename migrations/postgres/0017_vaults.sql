-- The order of a vault's inbox, the unlock that made an item, and whether it is done with; the changes of vaults, for
-- watchers; earlier versions of objects. Twin of ../sqlite/0017_vaults.sql.
--
-- Usable from itself on: an earlier program would change a vault and tell no watcher, and leave older versions of an
-- object behind under keys that a rotation took away.

ALTER TABLE vault_inbox ADD COLUMN unlock_id BYTEA;
ALTER TABLE vault_inbox ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT 'waiting';
ALTER TABLE vault_inbox ADD COLUMN position BIGINT NOT NULL DEFAULT 0;

CREATE TABLE vault_changes (
    tenant_id BYTEA NOT NULL,
    vault_id  BYTEA NOT NULL,
    seq       BIGINT NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    counter   BIGINT NOT NULL,
    objects   BYTEA NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, seq)
);

CREATE TABLE object_versions (
    tenant_id   BYTEA NOT NULL,
    vault_id    BYTEA NOT NULL,
    object_id   BYTEA NOT NULL,
    version     BIGINT NOT NULL,
    key_epoch   BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    body        BYTEA NOT NULL,
    body_bytes  BIGINT NOT NULL,
    written_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, object_id, version)
);
