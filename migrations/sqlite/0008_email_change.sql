-- Changes of users' addresses that wait, twin of ../postgres/0008_email_change.sql.
--
-- Usable from itself on: an earlier program would let a recovery pass, or remove a user, and leave the change standing.

CREATE TABLE email_changes (
    tenant_id    BLOB NOT NULL,
    token_hash   BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    session_id   BLOB NOT NULL,
    old_email    TEXT NOT NULL,
    new_email    TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    effective_at INTEGER,
    PRIMARY KEY (tenant_id, token_hash)
) STRICT;
CREATE INDEX email_changes_by_user_id ON email_changes (tenant_id, user_id);
