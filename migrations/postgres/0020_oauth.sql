-- Connections of containers to other people's services, twin of ../sqlite/0020_oauth.sql.
--
-- Usable from itself on: an earlier program would remove a container and leave its connections listed.

CREATE TABLE oauth_flows (
    tenant_id        BYTEA NOT NULL,
    state_hash       BYTEA NOT NULL,
    user_id          BYTEA NOT NULL,
    session_id       BYTEA NOT NULL,
    container_id     BYTEA NOT NULL,
    provider         TEXT COLLATE "C" NOT NULL,
    authorization_id BYTEA NOT NULL,
    expires_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, state_hash)
);
CREATE TABLE oauth_connections (
    tenant_id     BYTEA NOT NULL,
    connection_id BYTEA NOT NULL,
    container_id  BYTEA NOT NULL,
    user_id       BYTEA NOT NULL,
    provider      TEXT COLLATE "C" NOT NULL,
    scopes        TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT NOT NULL,
    refreshed_at  BIGINT,
    item_id       BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, connection_id)
);
CREATE UNIQUE INDEX oauth_connections_by_container_id_provider ON oauth_connections (tenant_id, container_id, provider);
