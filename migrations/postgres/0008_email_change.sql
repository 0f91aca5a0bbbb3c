-- Changes of users' addresses that wait, twin of ../sqlite/0008_email_change.sql.
--
-- Usable from itself on: an earlier program would let a recovery pass, or remove a user, and leave the change standing.

CREATE TABLE email_changes (
    tenant_id    BYTEA NOT NULL,
    token_hash   BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    session_id   BYTEA NOT NULL,
    old_email    TEXT COLLATE "C" NOT NULL,
    new_email    TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    effective_at BIGINT,
    PRIMARY KEY (tenant_id, token_hash)
);
CREATE INDEX email_changes_by_user_id ON email_changes (tenant_id, user_id);
