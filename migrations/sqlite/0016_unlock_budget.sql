-- Hand-outs of key slots, counted by account, twin of ../postgres/0016_unlock_budget.sql.
--
-- Usable from itself on: an earlier program would hand out key slots without counting.

CREATE TABLE unlock_budgets (
    tenant_id     BLOB NOT NULL,
    user_id       BLOB NOT NULL,
    handouts      INTEGER NOT NULL,
    handed_out_at INTEGER NOT NULL,
    not_before    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) STRICT;
