//! Fixtures for tests: a store with a live node and tenants in it. Behind the feature `testing`.

mod postgres;

pub use postgres::{PATIENT, TestDatabase};

use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_types::{
    Digest32, Id, IdGen, Incarnation, NodeId, OperatorId, Ownership, RandomIds, TenantId, Timestamp, UserId,
};

use crate::{
    Acceptance, Claim, ClusterAct, Confirmation, FencedTx, Founding, Removal, Revocations, Store, StoreError,
    backend::{Backend, Scope},
    tables::{
        ActKind, DestructiveAct, Node, NodeState, RevokedNode, Tenant, TenantState, User, UserRole, UserState,
    },
};

/// The `n`th id of its type: the same in each run, and in the order of `n`.
pub fn id<I: Id>(n: u64) -> I {
    let mut bytes = *b"test\0\0\0\0\0\0\0\0\0\0\0\0";
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    I::from_bytes(bytes)
}

/// A live node on a store.
#[derive(Clone)]
pub struct TestNode {
    /// The store.
    pub store: Store,
    /// The node.
    pub node_id: NodeId,
    /// This life of it.
    pub incarnation: Incarnation,
}

impl TestNode {
    /// The `n`th test node as [`TestNode::start`] registers it.
    pub fn unregistered(store: &Store, n: u64) -> Self {
        let node_id: NodeId = id(n);
        Self { store: store.clone(), node_id, incarnation: Incarnation(*node_id.as_bytes()) }
    }

    /// Registers the `n`th test node as live.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn start(store: &Store, n: u64) -> Result<Self, StoreError> {
        let node = Self::unregistered(store, n);
        store.cluster().register(&life_of(n)).await?;
        Ok(node)
    }

    /// Founds the `n`th test tenant with the `n`th test user as its owner, and owns it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn found(&self, n: u64) -> Result<Ownership, StoreError> {
        let founding = self.founding(n);
        let Some(tx) = self.store.directory().create_tenant(&founding).await? else {
            return Err(StoreError::Conflict);
        };
        let ownership = tx.ownership();
        tx.commit().await?;
        Ok(ownership)
    }

    /// What [`TestNode::found`] founds.
    pub fn founding(&self, n: u64) -> Founding {
        Founding {
            tenant: Tenant {
                tenant_id: id(n),
                name: format!("tenant {n}"),
                state: TenantState::Active,
                policy: Vec::new(),
                version: 1,
                created_at: Timestamp(0),
            },
            owner: user(id(n), n),
            node_id: self.node_id,
            incarnation: self.incarnation,
            signup: None,
        }
    }

    /// Claims a tenant.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if it cannot be had, and those of the store.
    pub async fn claim(&self, tenant: TenantId) -> Result<Ownership, StoreError> {
        match self.store.cluster().claim(tenant, self.node_id, self.incarnation).await? {
            Claim::Taken(ownership) => Ok(ownership),
            Claim::Owned { .. } | Claim::NoTenant => Err(StoreError::Fenced),
        }
    }

    /// Begins a fenced transaction.
    ///
    /// # Errors
    /// Those of [`Store::fenced`].
    pub async fn write(&self, ownership: Ownership) -> Result<FencedTx, StoreError> {
        self.store.fenced(ownership).await
    }
}

/// A live life of the `n`th test node.
pub fn life_of(n: u64) -> Node {
    let node_id: NodeId = id(n);
    Node {
        incarnation: Incarnation(*node_id.as_bytes()),
        node_id,
        addr: format!("127.0.0.1:{n}"),
        endpoint: format!("https://127.0.0.1:{n}"),
        state: NodeState::Live,
        capacity: 1,
        memory_mib: 0,
        version: "0.1.0".to_owned(),
        registered_at: Timestamp(0),
    }
}

/// The `n`th test user, in `tenant`.
pub fn user(tenant: TenantId, n: u64) -> User {
    User {
        tenant_id: tenant,
        user_id: id::<UserId>(n),
        email: format!("user{n}@example.org"),
        display_name: format!("user {n}"),
        role: UserRole::Member,
        state: UserState::Active,
        identity_public: None,
        totp_wrapped: None,
        totp_last_step: None,
        created_at: Timestamp(i64::try_from(n).unwrap_or(i64::MAX)),
        passkeys: 0,
        custom_role: None,
    }
}

/// Removes a node as an operator does, in two steps.
///
/// # Errors
/// Those of the store.
pub async fn remove(store: &Store, node: NodeId, only_dead: bool) -> Result<Removal, StoreError> {
    let (ids, at): (&dyn IdGen, _) = (&RandomIds, Timestamp(1));
    let (operators, operator) = (store.operators(), ids.id());
    let kind = if only_dead { ActKind::ForgetNode } else { ActKind::RevokeNode };
    let act = ClusterAct {
        at,
        request: ids.id(),
        actor: Actor::Operator(*OperatorId::as_bytes(&operator)),
        action: "cluster.revoke",
        object: format!("node/{node}"),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    };
    let (act_id, token_hash, object) = (ids.id(), Digest32(random32(ids)), node.to_string());
    let begun = DestructiveAct {
        act_id,
        operator_id: operator,
        act: kind,
        object: object.clone(),
        token_hash: None,
        created_at: at,
        expires_at: Timestamp(i64::MAX),
    };
    operators.begin_act(&begun, &act).await?;
    operators.confirm_act(act_id, operator, token_hash, &act).await?;
    let confirmation = Confirmation { token_hash, operator, act: kind, object };
    operators.remove_node(node, only_dead, &confirmation, id(1), &act).await
}

/// The acceptance of a restore by nobody, with nothing known beside the database.
pub fn acceptance(at: Timestamp) -> Acceptance {
    Acceptance {
        at,
        request: id(9),
        actor: Actor::Anonymous,
        floor: 0,
        went_back: false,
        revoked: Revocations::default(),
        sealing: None,
    }
}

fn random32(ids: &dyn IdGen) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&ids.random16());
    second.copy_from_slice(&ids.random16());
    bytes
}

/// Writes `n` further nodes down as removed, without more.
///
/// # Errors
/// Those of the store.
pub async fn mark_removed(store: &Store, n: u64) -> Result<(), StoreError> {
    let mut tx = store.backend().begin(Scope::Cluster).await?;
    for n in 0..n {
        tx.insert(&RevokedNode { node_id: id(1_000_000 + n), revoked_at: Timestamp(0) }).await?;
    }
    tx.commit().await
}

/// Lets an SQLite database grow by `free` pages of 4 KiB and no further: a disk about to be full.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn leave_pages(store: &Store, free: u32) -> Result<(), StoreError> {
    match store.backend() {
        Backend::Sqlite(sqlite) => sqlite.leave_pages(free).await,
        Backend::Postgres(_) | Backend::Sim(_) => Ok(()),
    }
}

/// What [`save`] saved.
pub use crate::backend::sim::SavedState;

/// Every committed row of a sim, to be put back; none of another store.
pub fn save(store: &Store) -> Option<SavedState> {
    match store.backend() {
        Backend::Sim(sim) => Some(sim.save()),
        Backend::Sqlite(_) | Backend::Postgres(_) => None,
    }
}

/// A sim as it was when it was saved: a backup restored under whoever uses it. Nothing for another store.
pub fn put_back(store: &Store, saved: &SavedState) {
    match store.backend() {
        Backend::Sim(sim) => sim.put_back(saved),
        Backend::Sqlite(_) | Backend::Postgres(_) => {}
    }
}
