-- How long audits are kept, and what is kept of records that were pruned, twin of ../postgres/0028_audit_retention.sql.
--
-- Usable from itself on: an earlier program would take an audit whose beginning was pruned for one that is damaged.

CREATE TABLE audit_leaves (
    tenant_id BLOB NOT NULL,
    chunk     INTEGER NOT NULL,
    hashes    BLOB NOT NULL,
    PRIMARY KEY (tenant_id, chunk)
) STRICT;
CREATE TABLE audit_retention (
    tenant_id  BLOB NOT NULL,
    keep_ms    INTEGER NOT NULL,
    policy_seq INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    cut        INTEGER NOT NULL,
    note       TEXT NOT NULL,
    signer     BLOB NOT NULL,
    pruned_at  INTEGER,
    PRIMARY KEY (tenant_id)
) STRICT;
