-- The Merkle trees over audits, twin of ../postgres/0022_audit_tree.sql.
--
-- Usable from 21 on: an earlier program appends to the chain alone, and the tree is grown after it.

ALTER TABLE audit_head ADD COLUMN tree_size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit_head ADD COLUMN peaks BLOB NOT NULL DEFAULT x'';
CREATE TABLE audit_nodes (
    tenant_id BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    hashes    BLOB NOT NULL,
    PRIMARY KEY (tenant_id, seq)
) STRICT;
