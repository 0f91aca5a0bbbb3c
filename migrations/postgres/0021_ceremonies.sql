-- What happens in ceremonies, for those who watch. Twin of ../sqlite/0021_ceremonies.sql.
--
-- Usable from itself on: an earlier program would change a ceremony and tell no watcher, and does not know one that
-- overrides a stop, nor the words of guardians for it.

CREATE TABLE ceremony_events (
    tenant_id       BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    seq             BIGINT NOT NULL,
    ceremony_id     BYTEA NOT NULL,
    guardianship_id BYTEA,
    view            BYTEA NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, seq)
);
