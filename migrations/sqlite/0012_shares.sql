-- Shares between people. Each table is the row type of the same name in cluster/store/src/tables, as in 0001.
--
-- An earlier program would leave somebody who was removed their shares, and a recovered vault its takers, so this step is
-- usable from itself on (ADR 0011).

CREATE TABLE shares (
    tenant_id    BLOB NOT NULL,
    share_id     BLOB NOT NULL,
    vault_id     BLOB NOT NULL,
    owner_user   BLOB NOT NULL,
    giver_user   BLOB NOT NULL,
    taker_user   BLOB NOT NULL,
    parent_share BLOB,
    permissions  TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    ended_at     INTEGER,
    PRIMARY KEY (tenant_id, share_id)
) STRICT;
CREATE INDEX shares_by_giver_user ON shares (tenant_id, giver_user);
CREATE INDEX shares_by_taker_user ON shares (tenant_id, taker_user);
CREATE INDEX shares_by_owner_user ON shares (tenant_id, owner_user);
CREATE INDEX shares_by_vault_id ON shares (tenant_id, vault_id);
CREATE INDEX shares_by_parent_share ON shares (tenant_id, parent_share);

CREATE TABLE share_grants (
    tenant_id    BLOB NOT NULL,
    share_id     BLOB NOT NULL,
    object_id    BLOB NOT NULL,
    version      INTEGER NOT NULL,
    sealed_grant BLOB NOT NULL,
    PRIMARY KEY (tenant_id, share_id, object_id)
) STRICT;
