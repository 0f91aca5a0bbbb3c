-- How far operators' channels were told of the cluster's audit, twin of ../postgres/0033_operator_channels.sql.
--
-- An earlier program tells operators nothing, and leaves this alone.

CREATE TABLE operator_channels (
    name       TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    told       TEXT NOT NULL,
    failed     INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    holder     BLOB,
    held_until INTEGER NOT NULL,
    fence      INTEGER NOT NULL,
    PRIMARY KEY (name)
) STRICT;
