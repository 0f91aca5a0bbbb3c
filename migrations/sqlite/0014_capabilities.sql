-- Requests for more than one has of an entry, the row type in cluster/store/src/tables, as in 0001.
--
-- An earlier program would leave a removed user's requests to be decided, so this step is usable from itself on (ADR 0011).

CREATE TABLE capabilities (
    tenant_id         BLOB NOT NULL,
    capability_id     BLOB NOT NULL,
    requester_user    BLOB NOT NULL,
    requester_program BLOB,
    vault_id          BLOB NOT NULL,
    owner_user        BLOB NOT NULL,
    object_id         BLOB NOT NULL,
    permissions       TEXT NOT NULL,
    lifetime_ms       INTEGER NOT NULL,
    reason            TEXT NOT NULL,
    state             TEXT NOT NULL,
    requested_at      INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    decided_by        BLOB,
    share_id          BLOB,
    version           INTEGER,
    sealed_grant      BLOB,
    PRIMARY KEY (tenant_id, capability_id)
) STRICT;
CREATE INDEX capabilities_by_requester_user ON capabilities (tenant_id, requester_user);
CREATE INDEX capabilities_by_requester_program ON capabilities (tenant_id, requester_program);
CREATE INDEX capabilities_by_owner_user ON capabilities (tenant_id, owner_user);

-- By which request a token was made: of those from before this step that is not known.
ALTER TABLE program_tokens ADD COLUMN asked_by BLOB;
