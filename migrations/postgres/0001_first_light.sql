-- The first schema, twin of ../sqlite/0001_first_light.sql. Each table is the row type of the same name in
-- cluster/store/src/tables, and a test holds the two against each other. Ids and digests are bytes, 16 and 32
-- of them, times are milliseconds since the Unix epoch, enums are their texts, bool is 0 or 1.
--
-- Text is compared by its bytes (COLLATE "C"), as SQLite and the sim do: the order of pages must not depend on
-- the locale of a machine, and an index must survive the next version of its collation library.
--
-- No foreign keys: every table begins its key with the tenant, one actor writes them all, and on PostgreSQL
-- they would take row locks across tables that the fence does not need.

-- Nodes and ownership

CREATE TABLE cluster (
    cluster_id   BYTEA NOT NULL,
    view_version BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    restored_at  BIGINT,
    PRIMARY KEY (cluster_id)
);

CREATE TABLE nodes (
    incarnation   BYTEA NOT NULL,
    node_id       BYTEA NOT NULL,
    addr          TEXT COLLATE "C" NOT NULL,
    endpoint      TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    capacity      BIGINT NOT NULL,
    memory_mib    BIGINT NOT NULL,
    version       TEXT COLLATE "C" NOT NULL,
    registered_at BIGINT NOT NULL,
    PRIMARY KEY (incarnation)
);
CREATE INDEX nodes_by_node_id ON nodes (node_id);

CREATE TABLE leases (
    incarnation BYTEA NOT NULL,
    renewals    BIGINT NOT NULL,
    ended       BIGINT NOT NULL,
    PRIMARY KEY (incarnation)
);

CREATE TABLE joined_nodes (
    node_id   BYTEA NOT NULL,
    addr      TEXT COLLATE "C" NOT NULL,
    names     TEXT COLLATE "C" NOT NULL,
    joined_at BIGINT NOT NULL,
    PRIMARY KEY (node_id)
);

CREATE TABLE revoked_nodes (
    node_id    BYTEA NOT NULL,
    revoked_at BIGINT NOT NULL,
    PRIMARY KEY (node_id)
);

CREATE TABLE tenant_owner (
    tenant_id   BYTEA NOT NULL,
    node_id     BYTEA,
    incarnation BYTEA,
    epoch       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);
CREATE INDEX tenant_owner_by_incarnation ON tenant_owner (incarnation);

-- Operators, and what they hand out and take away

CREATE TABLE operators (
    operator_id BYTEA NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    revoked_at  BIGINT,
    PRIMARY KEY (operator_id)
);

CREATE TABLE join_tokens (
    token_hash BYTEA NOT NULL,
    created_by BYTEA NOT NULL,
    names      TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (token_hash)
);
CREATE INDEX join_tokens_by_expires_at ON join_tokens (expires_at);

CREATE TABLE destructive_acts (
    act_id      BYTEA NOT NULL,
    operator_id BYTEA NOT NULL,
    act         TEXT COLLATE "C" NOT NULL,
    object      TEXT COLLATE "C" NOT NULL,
    token_hash  BYTEA,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (act_id)
);
CREATE UNIQUE INDEX destructive_acts_by_token_hash ON destructive_acts (token_hash);
CREATE INDEX destructive_acts_by_expires_at ON destructive_acts (expires_at);

CREATE TABLE sealing_generations (
    generation  BIGINT NOT NULL,
    made_by     BYTEA NOT NULL,
    made_at     BIGINT NOT NULL,
    alone_since BIGINT,
    PRIMARY KEY (generation)
);

CREATE TABLE sealing_holders (
    node_id    BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (node_id)
);

-- Before sign-in

CREATE TABLE directory (
    email     TEXT COLLATE "C" NOT NULL,
    tenant_id BYTEA NOT NULL,
    user_id   BYTEA NOT NULL,
    PRIMARY KEY (email, tenant_id)
);
CREATE INDEX directory_by_tenant_id ON directory (tenant_id);

CREATE TABLE signups (
    token_hash   BYTEA NOT NULL,
    email        TEXT COLLATE "C" NOT NULL,
    tenant_name  TEXT COLLATE "C" NOT NULL,
    binding_hash BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (token_hash)
);
CREATE INDEX signups_by_email ON signups (email);
CREATE INDEX signups_by_expires_at ON signups (expires_at);

-- Tenants, users, sign-in

CREATE TABLE tenants (
    tenant_id  BYTEA NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    policy     BYTEA NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id)
);

CREATE TABLE users (
    tenant_id       BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    email           TEXT COLLATE "C" NOT NULL,
    display_name    TEXT COLLATE "C" NOT NULL,
    role            TEXT COLLATE "C" NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    identity_public BYTEA,
    totp_wrapped    BYTEA,
    totp_last_step  BIGINT,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE UNIQUE INDEX users_by_email ON users (tenant_id, email);

CREATE TABLE invites (
    tenant_id  BYTEA NOT NULL,
    invite_id  BYTEA NOT NULL,
    token_hash BYTEA NOT NULL,
    email      TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    invited_by BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, invite_id)
);
CREATE UNIQUE INDEX invites_by_token_hash ON invites (tenant_id, token_hash);
CREATE INDEX invites_by_email ON invites (tenant_id, email);

CREATE TABLE links (
    tenant_id    BYTEA NOT NULL,
    token_hash   BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    purpose      TEXT COLLATE "C" NOT NULL,
    binding_hash BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_hash)
);
CREATE INDEX links_by_user_id ON links (tenant_id, user_id);

CREATE TABLE sessions (
    tenant_id        BYTEA NOT NULL,
    session_id       BYTEA NOT NULL,
    user_id          BYTEA NOT NULL,
    token_hash       BYTEA NOT NULL,
    assurance        TEXT COLLATE "C" NOT NULL,
    client           TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    seen_at          BIGINT NOT NULL,
    idle_expires_at  BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    ended_at         BIGINT,
    PRIMARY KEY (tenant_id, session_id)
);
CREATE UNIQUE INDEX sessions_by_token_hash ON sessions (tenant_id, token_hash);
CREATE INDEX sessions_by_user_id ON sessions (tenant_id, user_id);

-- Vaults: all secrets in here are sealed by clients

CREATE TABLE vaults (
    tenant_id           BYTEA NOT NULL,
    vault_id            BYTEA NOT NULL,
    owner_user          BYTEA,
    owner_group         BYTEA,
    key_epoch           BIGINT NOT NULL,
    verify_key          BYTEA NOT NULL,
    successions         BYTEA NOT NULL,
    manifest            BYTEA NOT NULL,
    manifest_counter    BIGINT NOT NULL,
    manifest_root       BYTEA NOT NULL,
    object_count        BIGINT NOT NULL,
    rotation_epoch      BIGINT,
    rotation_verify_key BYTEA,
    rotation_succession BYTEA,
    rotation_id         BYTEA,
    rotation_mode       TEXT COLLATE "C",
    rotation_slots      BYTEA,
    rotation_started_at BIGINT,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id)
);
CREATE UNIQUE INDEX vaults_by_owner_user ON vaults (tenant_id, owner_user);
CREATE UNIQUE INDEX vaults_by_owner_group ON vaults (tenant_id, owner_group);

CREATE TABLE slots (
    tenant_id  BYTEA NOT NULL,
    vault_id   BYTEA NOT NULL,
    slot_id    BYTEA NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    body       BYTEA NOT NULL,
    key_epoch  BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, slot_id)
);

CREATE TABLE objects (
    tenant_id   BYTEA NOT NULL,
    vault_id    BYTEA NOT NULL,
    object_id   BYTEA NOT NULL,
    version     BIGINT NOT NULL,
    key_epoch   BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    body_hash   BYTEA NOT NULL,
    body_bytes  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, object_id)
);

CREATE TABLE object_bodies (
    tenant_id BYTEA NOT NULL,
    vault_id  BYTEA NOT NULL,
    object_id BYTEA NOT NULL,
    body      BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, object_id)
);

CREATE TABLE handouts (
    tenant_id  BYTEA NOT NULL,
    vault_id   BYTEA NOT NULL,
    handout_id BYTEA NOT NULL,
    challenge  BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, handout_id)
);

CREATE TABLE rotation_objects (
    tenant_id   BYTEA NOT NULL,
    vault_id    BYTEA NOT NULL,
    object_id   BYTEA NOT NULL,
    version     BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    body        BYTEA,
    body_hash   BYTEA,
    PRIMARY KEY (tenant_id, vault_id, object_id)
);

CREATE TABLE vault_inbox (
    tenant_id    BYTEA NOT NULL,
    vault_id     BYTEA NOT NULL,
    item_id      BYTEA NOT NULL,
    container_id BYTEA NOT NULL,
    sealed       BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, vault_id, item_id)
);

-- Containers

CREATE TABLE containers (
    tenant_id      BYTEA NOT NULL,
    container_id   BYTEA NOT NULL,
    user_id        BYTEA NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    host_node      BYTEA NOT NULL,
    generation     BIGINT NOT NULL,
    desired        TEXT COLLATE "C" NOT NULL,
    observed       TEXT COLLATE "C" NOT NULL,
    runtime_ref    TEXT COLLATE "C",
    cell_addr      TEXT COLLATE "C",
    image          TEXT COLLATE "C" NOT NULL,
    spec           BYTEA NOT NULL,
    memory_mib     BIGINT NOT NULL,
    active_at      BIGINT NOT NULL,
    unlock_id      BYTEA,
    unlocked_until BIGINT,
    start_secret   BYTEA,
    failure        TEXT COLLATE "C",
    exit_code      BIGINT,
    exit_oom       BIGINT NOT NULL,
    exited_at      BIGINT,
    version        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, container_id)
);
CREATE INDEX containers_by_user_id ON containers (tenant_id, user_id);
CREATE INDEX containers_by_host_node ON containers (host_node);

-- What the containers pinned to a node reserve of its memory
CREATE TABLE host_memory (
    node_id      BYTEA NOT NULL,
    reserved_mib BIGINT NOT NULL,
    PRIMARY KEY (node_id)
);

-- What has to happen later or elsewhere

CREATE TABLE timers (
    tenant_id BYTEA NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    subject   TEXT COLLATE "C" NOT NULL,
    due_at    BIGINT NOT NULL,
    payload   BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, kind, subject)
);
CREATE INDEX timers_by_due_at ON timers (due_at);

CREATE TABLE outbox (
    tenant_id       BYTEA NOT NULL,
    message_id      BYTEA NOT NULL,
    to_tenant       BYTEA NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    body            BYTEA NOT NULL,
    created_at      BIGINT NOT NULL,
    attempts        BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, message_id)
);
CREATE INDEX outbox_by_next_attempt_at ON outbox (next_attempt_at);

CREATE TABLE inbox (
    tenant_id   BYTEA NOT NULL,
    from_tenant BYTEA NOT NULL,
    message_id  BYTEA NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    answer      BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, from_tenant, message_id)
);
CREATE INDEX inbox_by_received_at ON inbox (tenant_id, received_at);

CREATE TABLE notices (
    tenant_id       BYTEA NOT NULL,
    notice_id       BYTEA NOT NULL,
    user_id         BYTEA,
    address         TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    subject         TEXT COLLATE "C" NOT NULL,
    body            BYTEA NOT NULL,
    created_at      BIGINT NOT NULL,
    attempts        BIGINT NOT NULL,
    next_attempt_at BIGINT,
    handed_over_at  BIGINT,
    PRIMARY KEY (tenant_id, notice_id)
);
CREATE INDEX notices_by_next_attempt_at ON notices (next_attempt_at);
CREATE INDEX notices_by_subject ON notices (tenant_id, subject);

-- Guardians and ceremonies: nothing in here opens a share

CREATE TABLE guardian_sets (
    tenant_id    BYTEA NOT NULL,
    set_id       BYTEA NOT NULL,
    user_id      BYTEA NOT NULL,
    vault_id     BYTEA NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    threshold    BIGINT NOT NULL,
    units        BIGINT NOT NULL,
    body         BYTEA NOT NULL,
    set_hash     BYTEA NOT NULL,
    key_epoch    BIGINT NOT NULL,
    locked_until BIGINT,
    created_at   BIGINT NOT NULL,
    retired_at   BIGINT,
    PRIMARY KEY (tenant_id, set_id)
);
CREATE INDEX guardian_sets_by_user_id ON guardian_sets (tenant_id, user_id);

CREATE TABLE guardianships_out (
    tenant_id       BYTEA NOT NULL,
    guardianship_id BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    vault_id        BYTEA NOT NULL,
    guardian_email  TEXT COLLATE "C" NOT NULL,
    guardian_tenant BYTEA,
    guardian_user   BYTEA,
    units           BIGINT NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    identity_public BYTEA,
    set_id          BYTEA,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    locked_at       BIGINT,
    drill           BYTEA,
    drilled_at      BIGINT,
    PRIMARY KEY (tenant_id, guardianship_id)
);
CREATE INDEX guardianships_out_by_user_id ON guardianships_out (tenant_id, user_id);

CREATE TABLE guardianships_in (
    tenant_id       BYTEA NOT NULL,
    guardianship_id BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    owner_tenant    BYTEA NOT NULL,
    owner_user      BYTEA NOT NULL,
    owner_email     TEXT COLLATE "C" NOT NULL,
    owner_identity  BYTEA,
    vault_id        BYTEA NOT NULL,
    units           BIGINT NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    identity_public BYTEA,
    set_id          BYTEA,
    dealt_at        BIGINT,
    set_body        BYTEA,
    sealed_units    BYTEA,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    drill           BYTEA,
    drilled_at      BIGINT,
    PRIMARY KEY (tenant_id, guardianship_id)
);
CREATE INDEX guardianships_in_by_user_id ON guardianships_in (tenant_id, user_id);

CREATE TABLE ceremonies (
    tenant_id               BYTEA NOT NULL,
    ceremony_id             BYTEA NOT NULL,
    user_id                 BYTEA NOT NULL,
    vault_id                BYTEA NOT NULL,
    set_id                  BYTEA NOT NULL,
    purpose                 TEXT COLLATE "C" NOT NULL,
    state                   TEXT COLLATE "C" NOT NULL,
    params                  BYTEA NOT NULL,
    opened_by               BYTEA NOT NULL,
    release_public          BYTEA NOT NULL,
    release_private_wrapped BYTEA,
    statement               BYTEA NOT NULL,
    certificates            BYTEA NOT NULL,
    approved_units          BIGINT NOT NULL,
    opened_at               BIGINT NOT NULL,
    notified_at             BIGINT,
    matures_at              BIGINT,
    expires_at              BIGINT NOT NULL,
    released_at             BIGINT,
    ended_at                BIGINT,
    version                 BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, ceremony_id)
);
CREATE INDEX ceremonies_by_user_id ON ceremonies (tenant_id, user_id);
CREATE INDEX ceremonies_by_vault_id ON ceremonies (tenant_id, vault_id);

CREATE TABLE approvals (
    tenant_id       BYTEA NOT NULL,
    ceremony_id     BYTEA NOT NULL,
    guardianship_id BYTEA NOT NULL,
    verdict         TEXT COLLATE "C" NOT NULL,
    units           BIGINT NOT NULL,
    body            BYTEA NOT NULL,
    received_at     BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, ceremony_id, guardianship_id, verdict)
);

CREATE TABLE ceremony_requests (
    tenant_id       BYTEA NOT NULL,
    ceremony_id     BYTEA NOT NULL,
    guardianship_id BYTEA NOT NULL,
    user_id         BYTEA NOT NULL,
    owner_tenant    BYTEA NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    view            BYTEA NOT NULL,
    version         BIGINT NOT NULL,
    verdict         TEXT COLLATE "C",
    opened_at       BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, ceremony_id, guardianship_id)
);
CREATE INDEX ceremony_requests_by_user_id ON ceremony_requests (tenant_id, user_id);

-- What was done

CREATE TABLE audit (
    tenant_id BYTEA NOT NULL,
    seq       BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    actor     TEXT COLLATE "C" NOT NULL,
    action    TEXT COLLATE "C" NOT NULL,
    object    TEXT COLLATE "C" NOT NULL,
    record    BYTEA NOT NULL,
    hash      BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX audit_by_at ON audit (tenant_id, at);

CREATE TABLE audit_head (
    tenant_id BYTEA NOT NULL,
    seq       BIGINT NOT NULL,
    hash      BYTEA NOT NULL,
    PRIMARY KEY (tenant_id)
);

CREATE TABLE idempotency (
    tenant_id       BYTEA NOT NULL,
    principal       TEXT COLLATE "C" NOT NULL,
    idempotency_key BYTEA NOT NULL,
    method          TEXT COLLATE "C" NOT NULL,
    request_hash    BYTEA NOT NULL,
    response        BYTEA NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, principal, idempotency_key)
);
CREATE INDEX idempotency_by_created_at ON idempotency (tenant_id, created_at);
