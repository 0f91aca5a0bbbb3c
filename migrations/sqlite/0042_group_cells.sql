-- Cells that vaults of groups may be opened into. Twin of ../postgres/0042_group_cells.sql.
--
-- Usable from itself on: an earlier program would show a vault that is open in a cell to whoever asked for that.

CREATE TABLE group_cells (
    tenant_id    BLOB NOT NULL,
    vault_id     BLOB NOT NULL,
    container_id BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    number       INTEGER NOT NULL,
    body         BLOB NOT NULL,
    appointed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id)
) STRICT;
CREATE UNIQUE INDEX group_cells_by_container_id ON group_cells (tenant_id, container_id);

CREATE TABLE group_cell_unlocks (
    tenant_id    BLOB NOT NULL,
    ceremony_id  BLOB NOT NULL,
    vault_id     BLOB NOT NULL,
    container_id BLOB NOT NULL,
    body         BLOB NOT NULL,
    statement    BLOB NOT NULL,
    certificates BLOB NOT NULL,
    handed_at    INTEGER,
    PRIMARY KEY (tenant_id, ceremony_id)
) STRICT;
CREATE INDEX group_cell_unlocks_by_vault_id ON group_cell_unlocks (tenant_id, vault_id);
CREATE INDEX group_cell_unlocks_by_container_id ON group_cell_unlocks (tenant_id, container_id);
