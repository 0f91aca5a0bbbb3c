-- The first schema. Each table is the row type of the same name in cluster/store/src/tables, and a test
-- holds the two against each other. Ids and digests are blobs of 16 and 32 bytes, times are milliseconds
-- since the Unix epoch, enums are their texts, bool is 0 or 1.
--
-- No foreign keys: every table begins its key with the tenant, one actor writes them all, and on PostgreSQL
-- they would take row locks across tables that the fence does not need.

-- Nodes and ownership

CREATE TABLE cluster (
    cluster_id   BLOB NOT NULL,
    view_version INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    restored_at  INTEGER,
    PRIMARY KEY (cluster_id)
) STRICT;

CREATE TABLE nodes (
    incarnation   BLOB NOT NULL,
    node_id       BLOB NOT NULL,
    addr          TEXT NOT NULL,
    endpoint      TEXT NOT NULL,
    state         TEXT NOT NULL,
    capacity      INTEGER NOT NULL,
    memory_mib    INTEGER NOT NULL,
    version       TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    PRIMARY KEY (incarnation)
) STRICT;
CREATE INDEX nodes_by_node_id ON nodes (node_id);

CREATE TABLE leases (
    incarnation BLOB NOT NULL,
    renewals    INTEGER NOT NULL,
    ended       INTEGER NOT NULL,
    PRIMARY KEY (incarnation)
) STRICT;

CREATE TABLE joined_nodes (
    node_id   BLOB NOT NULL,
    addr      TEXT NOT NULL,
    names     TEXT NOT NULL,
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (node_id)
) STRICT;

CREATE TABLE revoked_nodes (
    node_id    BLOB NOT NULL,
    revoked_at INTEGER NOT NULL,
    PRIMARY KEY (node_id)
) STRICT;

CREATE TABLE tenant_owner (
    tenant_id   BLOB NOT NULL,
    node_id     BLOB,
    incarnation BLOB,
    epoch       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;
CREATE INDEX tenant_owner_by_incarnation ON tenant_owner (incarnation);

-- Operators, and what they hand out and take away

CREATE TABLE operators (
    operator_id BLOB NOT NULL,
    name        TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER,
    PRIMARY KEY (operator_id)
) STRICT;

CREATE TABLE join_tokens (
    token_hash BLOB NOT NULL,
    created_by BLOB NOT NULL,
    names      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (token_hash)
) STRICT;
CREATE INDEX join_tokens_by_expires_at ON join_tokens (expires_at);

CREATE TABLE destructive_acts (
    act_id      BLOB NOT NULL,
    operator_id BLOB NOT NULL,
    act         TEXT NOT NULL,
    object      TEXT NOT NULL,
    token_hash  BLOB,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (act_id)
) STRICT;
CREATE UNIQUE INDEX destructive_acts_by_token_hash ON destructive_acts (token_hash);
CREATE INDEX destructive_acts_by_expires_at ON destructive_acts (expires_at);

CREATE TABLE sealing_generations (
    generation  INTEGER NOT NULL,
    made_by     BLOB NOT NULL,
    made_at     INTEGER NOT NULL,
    alone_since INTEGER,
    PRIMARY KEY (generation)
) STRICT;

CREATE TABLE sealing_holders (
    node_id    BLOB NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (node_id)
) STRICT;

-- Before sign-in

CREATE TABLE directory (
    email     TEXT NOT NULL,
    tenant_id BLOB NOT NULL,
    user_id   BLOB NOT NULL,
    PRIMARY KEY (email, tenant_id)
) STRICT;
CREATE INDEX directory_by_tenant_id ON directory (tenant_id);

CREATE TABLE signups (
    token_hash   BLOB NOT NULL,
    email        TEXT NOT NULL,
    tenant_name  TEXT NOT NULL,
    binding_hash BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (token_hash)
) STRICT;
CREATE INDEX signups_by_email ON signups (email);
CREATE INDEX signups_by_expires_at ON signups (expires_at);

-- Tenants, users, sign-in

CREATE TABLE tenants (
    tenant_id  BLOB NOT NULL,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL,
    policy     BLOB NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;

CREATE TABLE users (
    tenant_id       BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    email           TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    role            TEXT NOT NULL,
    state           TEXT NOT NULL,
    identity_public BLOB,
    totp_wrapped    BLOB,
    totp_last_step  INTEGER,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) STRICT;
CREATE UNIQUE INDEX users_by_email ON users (tenant_id, email);

CREATE TABLE invites (
    tenant_id  BLOB NOT NULL,
    invite_id  BLOB NOT NULL,
    token_hash BLOB NOT NULL,
    email      TEXT NOT NULL,
    role       TEXT NOT NULL,
    invited_by BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, invite_id)
) STRICT;
CREATE UNIQUE INDEX invites_by_token_hash ON invites (tenant_id, token_hash);
CREATE INDEX invites_by_email ON invites (tenant_id, email);

CREATE TABLE links (
    tenant_id    BLOB NOT NULL,
    token_hash   BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    purpose      TEXT NOT NULL,
    binding_hash BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, token_hash)
) STRICT;
CREATE INDEX links_by_user_id ON links (tenant_id, user_id);

CREATE TABLE sessions (
    tenant_id        BLOB NOT NULL,
    session_id       BLOB NOT NULL,
    user_id          BLOB NOT NULL,
    token_hash       BLOB NOT NULL,
    assurance        TEXT NOT NULL,
    client           TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    seen_at          INTEGER NOT NULL,
    idle_expires_at  INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    PRIMARY KEY (tenant_id, session_id)
) STRICT;
CREATE UNIQUE INDEX sessions_by_token_hash ON sessions (tenant_id, token_hash);
CREATE INDEX sessions_by_user_id ON sessions (tenant_id, user_id);

-- Vaults: all secrets in here are sealed by clients

CREATE TABLE vaults (
    tenant_id           BLOB NOT NULL,
    vault_id            BLOB NOT NULL,
    owner_user          BLOB,
    owner_group         BLOB,
    key_epoch           INTEGER NOT NULL,
    verify_key          BLOB NOT NULL,
    successions         BLOB NOT NULL,
    manifest            BLOB NOT NULL,
    manifest_counter    INTEGER NOT NULL,
    manifest_root       BLOB NOT NULL,
    object_count        INTEGER NOT NULL,
    rotation_epoch      INTEGER,
    rotation_verify_key BLOB,
    rotation_succession BLOB,
    rotation_id         BLOB,
    rotation_mode       TEXT,
    rotation_slots      BLOB,
    rotation_started_at INTEGER,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id)
) STRICT;
CREATE UNIQUE INDEX vaults_by_owner_user ON vaults (tenant_id, owner_user);
CREATE UNIQUE INDEX vaults_by_owner_group ON vaults (tenant_id, owner_group);

CREATE TABLE slots (
    tenant_id  BLOB NOT NULL,
    vault_id   BLOB NOT NULL,
    slot_id    BLOB NOT NULL,
    kind       TEXT NOT NULL,
    body       BLOB NOT NULL,
    key_epoch  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, slot_id)
) STRICT;

CREATE TABLE objects (
    tenant_id   BLOB NOT NULL,
    vault_id    BLOB NOT NULL,
    object_id   BLOB NOT NULL,
    version     INTEGER NOT NULL,
    key_epoch   INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    body_hash   BLOB NOT NULL,
    body_bytes  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, object_id)
) STRICT;

CREATE TABLE object_bodies (
    tenant_id BLOB NOT NULL,
    vault_id  BLOB NOT NULL,
    object_id BLOB NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, object_id)
) STRICT;

CREATE TABLE handouts (
    tenant_id  BLOB NOT NULL,
    vault_id   BLOB NOT NULL,
    handout_id BLOB NOT NULL,
    challenge  BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, handout_id)
) STRICT;

CREATE TABLE rotation_objects (
    tenant_id   BLOB NOT NULL,
    vault_id    BLOB NOT NULL,
    object_id   BLOB NOT NULL,
    version     INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    body        BLOB,
    body_hash   BLOB,
    PRIMARY KEY (tenant_id, vault_id, object_id)
) STRICT;

CREATE TABLE vault_inbox (
    tenant_id    BLOB NOT NULL,
    vault_id     BLOB NOT NULL,
    item_id      BLOB NOT NULL,
    container_id BLOB NOT NULL,
    sealed       BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, item_id)
) STRICT;

-- Containers

CREATE TABLE containers (
    tenant_id      BLOB NOT NULL,
    container_id   BLOB NOT NULL,
    user_id        BLOB NOT NULL,
    name           TEXT NOT NULL,
    host_node      BLOB NOT NULL,
    generation     INTEGER NOT NULL,
    desired        TEXT NOT NULL,
    observed       TEXT NOT NULL,
    runtime_ref    TEXT,
    cell_addr      TEXT,
    image          TEXT NOT NULL,
    spec           BLOB NOT NULL,
    memory_mib     INTEGER NOT NULL,
    active_at      INTEGER NOT NULL,
    unlock_id      BLOB,
    unlocked_until INTEGER,
    start_secret   BLOB,
    failure        TEXT,
    exit_code      INTEGER,
    exit_oom       INTEGER NOT NULL,
    exited_at      INTEGER,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, container_id)
) STRICT;
CREATE INDEX containers_by_user_id ON containers (tenant_id, user_id);
CREATE INDEX containers_by_host_node ON containers (host_node);

-- What the containers pinned to a node reserve of its memory
CREATE TABLE host_memory (
    node_id      BLOB NOT NULL,
    reserved_mib INTEGER NOT NULL,
    PRIMARY KEY (node_id)
) STRICT;

-- What has to happen later or elsewhere

CREATE TABLE timers (
    tenant_id BLOB NOT NULL,
    kind      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    due_at    INTEGER NOT NULL,
    payload   BLOB NOT NULL,
    PRIMARY KEY (tenant_id, kind, subject)
) STRICT;
CREATE INDEX timers_by_due_at ON timers (due_at);

CREATE TABLE outbox (
    tenant_id       BLOB NOT NULL,
    message_id      BLOB NOT NULL,
    to_tenant       BLOB NOT NULL,
    kind            TEXT NOT NULL,
    body            BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, message_id)
) STRICT;
CREATE INDEX outbox_by_next_attempt_at ON outbox (next_attempt_at);

CREATE TABLE inbox (
    tenant_id   BLOB NOT NULL,
    from_tenant BLOB NOT NULL,
    message_id  BLOB NOT NULL,
    kind        TEXT NOT NULL,
    answer      BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, from_tenant, message_id)
) STRICT;
CREATE INDEX inbox_by_received_at ON inbox (tenant_id, received_at);

CREATE TABLE notices (
    tenant_id       BLOB NOT NULL,
    notice_id       BLOB NOT NULL,
    user_id         BLOB,
    address         TEXT NOT NULL,
    kind            TEXT NOT NULL,
    subject         TEXT NOT NULL,
    body            BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    next_attempt_at INTEGER,
    handed_over_at  INTEGER,
    PRIMARY KEY (tenant_id, notice_id)
) STRICT;
CREATE INDEX notices_by_next_attempt_at ON notices (next_attempt_at);
CREATE INDEX notices_by_subject ON notices (tenant_id, subject);

-- Guardians and ceremonies: nothing in here opens a share

CREATE TABLE guardian_sets (
    tenant_id    BLOB NOT NULL,
    set_id       BLOB NOT NULL,
    user_id      BLOB NOT NULL,
    vault_id     BLOB NOT NULL,
    state        TEXT NOT NULL,
    threshold    INTEGER NOT NULL,
    units        INTEGER NOT NULL,
    body         BLOB NOT NULL,
    set_hash     BLOB NOT NULL,
    key_epoch    INTEGER NOT NULL,
    locked_until INTEGER,
    created_at   INTEGER NOT NULL,
    retired_at   INTEGER,
    PRIMARY KEY (tenant_id, set_id)
) STRICT;
CREATE INDEX guardian_sets_by_user_id ON guardian_sets (tenant_id, user_id);

CREATE TABLE guardianships_out (
    tenant_id       BLOB NOT NULL,
    guardianship_id BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    vault_id        BLOB NOT NULL,
    guardian_email  TEXT NOT NULL,
    guardian_tenant BLOB,
    guardian_user   BLOB,
    units           INTEGER NOT NULL,
    state           TEXT NOT NULL,
    identity_public BLOB,
    set_id          BLOB,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    locked_at       INTEGER,
    drill           BLOB,
    drilled_at      INTEGER,
    PRIMARY KEY (tenant_id, guardianship_id)
) STRICT;
CREATE INDEX guardianships_out_by_user_id ON guardianships_out (tenant_id, user_id);

CREATE TABLE guardianships_in (
    tenant_id       BLOB NOT NULL,
    guardianship_id BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    owner_tenant    BLOB NOT NULL,
    owner_user      BLOB NOT NULL,
    owner_email     TEXT NOT NULL,
    owner_identity  BLOB,
    vault_id        BLOB NOT NULL,
    units           INTEGER NOT NULL,
    state           TEXT NOT NULL,
    identity_public BLOB,
    set_id          BLOB,
    dealt_at        INTEGER,
    set_body        BLOB,
    sealed_units    BLOB,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    drill           BLOB,
    drilled_at      INTEGER,
    PRIMARY KEY (tenant_id, guardianship_id)
) STRICT;
CREATE INDEX guardianships_in_by_user_id ON guardianships_in (tenant_id, user_id);

CREATE TABLE ceremonies (
    tenant_id               BLOB NOT NULL,
    ceremony_id             BLOB NOT NULL,
    user_id                 BLOB NOT NULL,
    vault_id                BLOB NOT NULL,
    set_id                  BLOB NOT NULL,
    purpose                 TEXT NOT NULL,
    state                   TEXT NOT NULL,
    params                  BLOB NOT NULL,
    opened_by               BLOB NOT NULL,
    release_public          BLOB NOT NULL,
    release_private_wrapped BLOB,
    statement               BLOB NOT NULL,
    certificates            BLOB NOT NULL,
    approved_units          INTEGER NOT NULL,
    opened_at               INTEGER NOT NULL,
    notified_at             INTEGER,
    matures_at              INTEGER,
    expires_at              INTEGER NOT NULL,
    released_at             INTEGER,
    ended_at                INTEGER,
    version                 INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, ceremony_id)
) STRICT;
CREATE INDEX ceremonies_by_user_id ON ceremonies (tenant_id, user_id);
CREATE INDEX ceremonies_by_vault_id ON ceremonies (tenant_id, vault_id);

CREATE TABLE approvals (
    tenant_id       BLOB NOT NULL,
    ceremony_id     BLOB NOT NULL,
    guardianship_id BLOB NOT NULL,
    verdict         TEXT NOT NULL,
    units           INTEGER NOT NULL,
    body            BLOB NOT NULL,
    received_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, ceremony_id, guardianship_id, verdict)
) STRICT;

CREATE TABLE ceremony_requests (
    tenant_id       BLOB NOT NULL,
    ceremony_id     BLOB NOT NULL,
    guardianship_id BLOB NOT NULL,
    user_id         BLOB NOT NULL,
    owner_tenant    BLOB NOT NULL,
    state           TEXT NOT NULL,
    view            BLOB NOT NULL,
    version         INTEGER NOT NULL,
    verdict         TEXT,
    opened_at       INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, ceremony_id, guardianship_id)
) STRICT;
CREATE INDEX ceremony_requests_by_user_id ON ceremony_requests (tenant_id, user_id);

-- What was done

CREATE TABLE audit (
    tenant_id BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    object    TEXT NOT NULL,
    record    BLOB NOT NULL,
    hash      BLOB NOT NULL,
    PRIMARY KEY (tenant_id, seq)
) STRICT;
CREATE INDEX audit_by_at ON audit (tenant_id, at);

CREATE TABLE audit_head (
    tenant_id BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    PRIMARY KEY (tenant_id)
) STRICT;

CREATE TABLE idempotency (
    tenant_id       BLOB NOT NULL,
    principal       TEXT NOT NULL,
    idempotency_key BLOB NOT NULL,
    method          TEXT NOT NULL,
    request_hash    BLOB NOT NULL,
    response        BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, principal, idempotency_key)
) STRICT;
CREATE INDEX idempotency_by_created_at ON idempotency (tenant_id, created_at);
