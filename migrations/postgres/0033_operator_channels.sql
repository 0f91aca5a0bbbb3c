-- How far operators' channels were told of the cluster's audit, twin of ../sqlite/0033_operator_channels.sql.
--
-- An earlier program tells operators nothing, and leaves this alone.

CREATE TABLE operator_channels (
    name       TEXT COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL,
    told       TEXT COLLATE "C" NOT NULL,
    failed     BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    holder     BYTEA,
    held_until BIGINT NOT NULL,
    fence      BIGINT NOT NULL,
    PRIMARY KEY (name)
);
