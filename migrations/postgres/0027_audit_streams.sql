-- Where records of audits are streamed to, twin of ../sqlite/0027_audit_streams.sql.
--
-- Usable from itself on: an earlier program would give up a sealing key that a stream is still under.

CREATE TABLE audit_streams (
    tenant_id     BYTEA NOT NULL,
    revision      BIGINT NOT NULL,
    hint          TEXT COLLATE "C" NOT NULL,
    wrapped       BYTEA NOT NULL,
    sent          BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    failing_since BIGINT,
    said          TEXT COLLATE "C" NOT NULL,
    told_at       BIGINT,
    taken_at      BIGINT,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);
