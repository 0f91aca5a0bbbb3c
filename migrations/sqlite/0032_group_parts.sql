-- The sealed parts of a group's vault that several administrators open together, twin of ../postgres/0032_group_parts.sql.
--
-- Usable from itself on: an earlier program would take such an opening for a recovery.

CREATE TABLE group_parts (
    tenant_id BLOB NOT NULL,
    set_id    BLOB NOT NULL,
    user_id   BLOB NOT NULL,
    sealed    BLOB NOT NULL,
    PRIMARY KEY (tenant_id, set_id, user_id)
) STRICT;
