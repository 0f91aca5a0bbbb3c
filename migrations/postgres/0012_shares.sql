-- Shares between people. Each table is the row type of the same name in cluster/store/src/tables, as in 0001.
--
-- An earlier program would leave somebody who was removed their shares, and a recovered vault its takers, so this step is
-- usable from itself on (ADR 0011).

CREATE TABLE shares (
    tenant_id    BYTEA NOT NULL,
    share_id     BYTEA NOT NULL,
    vault_id     BYTEA NOT NULL,
    owner_user   BYTEA NOT NULL,
    giver_user   BYTEA NOT NULL,
    taker_user   BYTEA NOT NULL,
    parent_share BYTEA,
    permissions  TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    ended_at     BIGINT,
    PRIMARY KEY (tenant_id, share_id)
);
CREATE INDEX shares_by_giver_user ON shares (tenant_id, giver_user);
CREATE INDEX shares_by_taker_user ON shares (tenant_id, taker_user);
CREATE INDEX shares_by_owner_user ON shares (tenant_id, owner_user);
CREATE INDEX shares_by_vault_id ON shares (tenant_id, vault_id);
CREATE INDEX shares_by_parent_share ON shares (tenant_id, parent_share);

CREATE TABLE share_grants (
    tenant_id    BYTEA NOT NULL,
    share_id     BYTEA NOT NULL,
    object_id    BYTEA NOT NULL,
    version      BIGINT NOT NULL,
    sealed_grant BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, share_id, object_id)
);
