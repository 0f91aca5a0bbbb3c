-- The Merkle trees over audits, twin of ../sqlite/0022_audit_tree.sql.
--
-- Usable from 21 on: an earlier program appends to the chain alone, and the tree is grown after it.

ALTER TABLE audit_head ADD COLUMN tree_size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_head ADD COLUMN peaks BYTEA NOT NULL DEFAULT '\x';
CREATE TABLE audit_nodes (
    tenant_id BYTEA NOT NULL,
    seq       BIGINT NOT NULL,
    hashes    BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
