-- Cells that vaults of groups may be opened into. Twin of ../sqlite/0042_group_cells.sql.
--
-- Usable from itself on: an earlier program would show a vault that is open in a cell to whoever asked for that.

CREATE TABLE group_cells (
    tenant_id    BYTEA NOT NULL,
    vault_id     BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    number       BIGINT NOT NULL,
    body         BYTEA NOT NULL,
    appointed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id)
);
CREATE UNIQUE INDEX group_cells_by_container_id ON group_cells (tenant_id, container_id);

CREATE TABLE group_cell_unlocks (
    tenant_id    BYTEA NOT NULL,
    ceremony_id  BYTEA NOT NULL,
    vault_id     BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    body         BYTEA NOT NULL,
    statement    BYTEA NOT NULL,
    certificates BYTEA NOT NULL,
    handed_at    BIGINT,
    PRIMARY KEY (tenant_id, ceremony_id)
);
CREATE INDEX group_cell_unlocks_by_vault_id ON group_cell_unlocks (tenant_id, vault_id);
CREATE INDEX group_cell_unlocks_by_container_id ON group_cell_unlocks (tenant_id, container_id);
