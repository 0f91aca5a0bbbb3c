-- Hand-outs of key slots, counted by account, twin of ../sqlite/0016_unlock_budget.sql.
--
-- Usable from itself on: an earlier program would hand out key slots without counting.

CREATE TABLE unlock_budgets (
    tenant_id     BYTEA NOT NULL,
    user_id       BYTEA NOT NULL,
    handouts      BIGINT NOT NULL,
    handed_out_at BIGINT NOT NULL,
    not_before    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
