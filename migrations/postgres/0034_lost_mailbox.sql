-- Owners who have lost their mailbox too, and addresses that were given up lately. Twin of ../sqlite/0034_lost_mailbox.sql.
--
-- Usable from itself on: an earlier program would take an inert session for one that is good for ceremonies, and let a
-- delay count from a notice to an address that a thief has just put in.

ALTER TABLE ceremonies ADD COLUMN new_email TEXT COLLATE "C";

CREATE TABLE lost_mailboxes (
    tenant_id       BYTEA NOT NULL,
    token_hash      BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    guardianship_id BYTEA NOT NULL,
    new_email       TEXT COLLATE "C" NOT NULL,
    session_id      BYTEA,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_hash)
);
CREATE INDEX lost_mailboxes_by_user_id ON lost_mailboxes (tenant_id, user_id);

CREATE TABLE former_addresses (
    tenant_id  BYTEA NOT NULL,
    user_id    BYTEA NOT NULL,
    email      TEXT COLLATE "C" NOT NULL,
    since      BIGINT,
    removed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, email)
);
