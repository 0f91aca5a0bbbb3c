-- Requests for more than one has of an entry, the row type in cluster/store/src/tables, as in 0001.
--
-- An earlier program would leave a removed user's requests to be decided, so this step is usable from itself on (ADR 0011).

CREATE TABLE capabilities (
    tenant_id         BYTEA NOT NULL,
    capability_id     BYTEA NOT NULL,
    requester_user    BYTEA NOT NULL,
    requester_program BYTEA,
    vault_id          BYTEA NOT NULL,
    owner_user        BYTEA NOT NULL,
    object_id         BYTEA NOT NULL,
    permissions       TEXT COLLATE "C" NOT NULL,
    lifetime_ms       BIGINT NOT NULL,
    reason            TEXT COLLATE "C" NOT NULL,
    state             TEXT COLLATE "C" NOT NULL,
    requested_at      BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    decided_by        BYTEA,
    share_id          BYTEA,
    version           BIGINT,
    sealed_grant      BYTEA,
    PRIMARY KEY (tenant_id, capability_id)
);
CREATE INDEX capabilities_by_requester_user ON capabilities (tenant_id, requester_user);
CREATE INDEX capabilities_by_requester_program ON capabilities (tenant_id, requester_program);
CREATE INDEX capabilities_by_owner_user ON capabilities (tenant_id, owner_user);

-- By which request a token was made: of those from before this step that is not known.
ALTER TABLE program_tokens ADD COLUMN asked_by BYTEA;
