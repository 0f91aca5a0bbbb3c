-- Where records of audits are streamed to, twin of ../postgres/0027_audit_streams.sql.
--
-- Usable from itself on: an earlier program would give up a sealing key that a stream is still under.

CREATE TABLE audit_streams (
    tenant_id     BLOB NOT NULL,
    revision      INTEGER NOT NULL,
    hint          TEXT NOT NULL,
    wrapped       BLOB NOT NULL,
    sent          INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    failing_since INTEGER,
    said          TEXT NOT NULL,
    told_at       INTEGER,
    taken_at      INTEGER,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;
