-- Connections of containers to other people's services, twin of ../postgres/0020_oauth.sql.
--
-- Usable from itself on: an earlier program would remove a container and leave its connections listed.

CREATE TABLE oauth_flows (
    tenant_id        BLOB NOT NULL,
    state_hash       BLOB NOT NULL,
    user_id          BLOB NOT NULL,
    session_id       BLOB NOT NULL,
    container_id     BLOB NOT NULL,
    provider         TEXT NOT NULL,
    authorization_id BLOB NOT NULL,
    expires_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, state_hash)
) STRICT;
CREATE TABLE oauth_connections (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    container_id  BLOB NOT NULL,
    user_id       BLOB NOT NULL,
    provider      TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    refreshed_at  INTEGER,
    item_id       BLOB NOT NULL,
    PRIMARY KEY (tenant_id, connection_id)
) STRICT;
CREATE UNIQUE INDEX oauth_connections_by_container_id_provider ON oauth_connections (tenant_id, container_id, provider);
