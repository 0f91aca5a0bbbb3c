-- How fast programs read, and which were stopped for it, twin of ../postgres/0029_program_pace.sql.
--
-- Usable from itself on: an earlier program would let one go on reading that was stopped.

CREATE TABLE program_pace (
    tenant_id        BLOB NOT NULL,
    program_token_id BLOB NOT NULL,
    since            INTEGER NOT NULL,
    reads            INTEGER NOT NULL,
    usual            INTEGER NOT NULL,
    locked_at        INTEGER,
    PRIMARY KEY (tenant_id, program_token_id)
) STRICT;
