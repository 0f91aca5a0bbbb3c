-- The order of a vault's inbox, the unlock that made an item, and whether it is done with; the changes of vaults, for
-- watchers; earlier versions of objects. Twin of ../postgres/0017_vaults.sql.
--
-- Usable from itself on: an earlier program would change a vault and tell no watcher, and leave older versions of an
-- object behind under keys that a rotation took away.

ALTER TABLE vault_inbox ADD COLUMN unlock_id BLOB;
ALTER TABLE vault_inbox ADD COLUMN state TEXT NOT NULL DEFAULT 'waiting';
ALTER TABLE vault_inbox ADD COLUMN position INTEGER NOT NULL DEFAULT 0;

CREATE TABLE vault_changes (
    tenant_id BLOB NOT NULL,
    vault_id  BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    counter   INTEGER NOT NULL,
    objects   BLOB NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, seq)
) STRICT;

CREATE TABLE object_versions (
    tenant_id   BLOB NOT NULL,
    vault_id    BLOB NOT NULL,
    object_id   BLOB NOT NULL,
    version     INTEGER NOT NULL,
    key_epoch   INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    body        BLOB NOT NULL,
    body_bytes  INTEGER NOT NULL,
    written_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, object_id, version)
) STRICT;
