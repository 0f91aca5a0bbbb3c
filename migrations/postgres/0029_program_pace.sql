-- How fast programs read, and which were stopped for it, twin of ../sqlite/0029_program_pace.sql.
--
-- Usable from itself on: an earlier program would let one go on reading that was stopped.

CREATE TABLE program_pace (
    tenant_id        BYTEA NOT NULL,
    program_token_id BYTEA NOT NULL,
    since            BIGINT NOT NULL,
    reads            BIGINT NOT NULL,
    usual            BIGINT NOT NULL,
    locked_at        BIGINT,
    PRIMARY KEY (tenant_id, program_token_id)
);
