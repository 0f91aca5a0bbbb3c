-- What happens in ceremonies, for those who watch. Twin of ../postgres/0021_ceremonies.sql.
--
-- Usable from itself on: an earlier program would change a ceremony and tell no watcher, and does not know one that
-- overrides a stop, nor the words of guardians for it.

CREATE TABLE ceremony_events (
    tenant_id       BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    seq             INTEGER NOT NULL,
    ceremony_id     BLOB NOT NULL,
    guardianship_id BLOB,
    view            BLOB NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, seq)
) STRICT;
