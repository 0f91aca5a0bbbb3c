-- Sign-in at a tenant's own OpenID provider, twin of ../sqlite/0013_single_sign_on.sql.
--
-- Usable from itself on: an earlier program would remove a user and leave what signs them in standing.

CREATE TABLE oidc_providers (
    tenant_id      BYTEA NOT NULL,
    issuer         TEXT COLLATE "C" NOT NULL,
    client_id      TEXT COLLATE "C" NOT NULL,
    secret_wrapped BYTEA,
    by_email       BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);
CREATE TABLE oidc_logins (
    tenant_id    BYTEA NOT NULL,
    state_hash   BYTEA NOT NULL,
    binding_hash BYTEA NOT NULL,
    issuer       TEXT COLLATE "C" NOT NULL,
    nonce        TEXT COLLATE "C" NOT NULL,
    verifier     TEXT COLLATE "C" NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, state_hash)
);
CREATE TABLE oidc_identities (
    tenant_id     BYTEA NOT NULL,
    identity_hash BYTEA NOT NULL,
    user_id       BYTEA NOT NULL,
    issuer        TEXT COLLATE "C" NOT NULL,
    subject       TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, identity_hash)
);
CREATE UNIQUE INDEX oidc_identities_by_user_id_issuer ON oidc_identities (tenant_id, user_id, issuer);
