-- Sign-in at a tenant's own OpenID provider, twin of ../postgres/0013_single_sign_on.sql.
--
-- Usable from itself on: an earlier program would remove a user and leave what signs them in standing.

CREATE TABLE oidc_providers (
    tenant_id      BLOB NOT NULL,
    issuer         TEXT NOT NULL,
    client_id      TEXT NOT NULL,
    secret_wrapped BLOB,
    by_email       INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;
CREATE TABLE oidc_logins (
    tenant_id    BLOB NOT NULL,
    state_hash   BLOB NOT NULL,
    binding_hash BLOB NOT NULL,
    issuer       TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    verifier     TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, state_hash)
) STRICT;
CREATE TABLE oidc_identities (
    tenant_id     BLOB NOT NULL,
    identity_hash BLOB NOT NULL,
    user_id       BLOB NOT NULL,
    issuer        TEXT NOT NULL,
    subject       TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, identity_hash)
) STRICT;
CREATE UNIQUE INDEX oidc_identities_by_user_id_issuer ON oidc_identities (tenant_id, user_id, issuer);
