-- Owners who have lost their mailbox too, and addresses that were given up lately. Twin of ../postgres/0034_lost_mailbox.sql.
--
-- Usable from itself on: an earlier program would take an inert session for one that is good for ceremonies, and let a
-- delay count from a notice to an address that a thief has just put in.

ALTER TABLE ceremonies ADD COLUMN new_email TEXT;

CREATE TABLE lost_mailboxes (
    tenant_id       BLOB NOT NULL,
    token_hash      BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    guardianship_id BLOB NOT NULL,
    new_email       TEXT NOT NULL,
    session_id      BLOB,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, token_hash)
) STRICT;
CREATE INDEX lost_mailboxes_by_user_id ON lost_mailboxes (tenant_id, user_id);

CREATE TABLE former_addresses (
    tenant_id  BLOB NOT NULL,
    user_id    BLOB NOT NULL,
    email      TEXT NOT NULL,
    since      INTEGER,
    removed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, email)
) STRICT;
