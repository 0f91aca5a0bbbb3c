//! The node's place: alone with its database, or one of several on a database they share.
//!
//! On SQLite the lock of the data folder proves that nobody else serves. On PostgreSQL the lease does, and it
//! can end at any time: [`Place::ended`] tells, and then this life of the node is over.

use std::{path::PathBuf, sync::Arc};

use ocmt_cluster::{
    Alone, Connect, Ending, FolderMemory, HeartbeatThread, Lease, LeaseTimes, Membership, MembershipConfig,
    RevokedFile, Router, SingleNode, View,
};
use ocmt_store::{PgConfig, PgIdentity, Store, StoreError, tables::NodeState};
use ocmt_types::{Clock, ClusterId, IdGen, Incarnation, NodeId};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{StartError, host_memory, revoked};
use crate::{
    config::{Config, StorePlace},
    database,
    local::Endpoints,
    software::Software,
    tasks,
};

/// Connections of the heartbeat's own store.
const HEARTBEAT_CONNECTIONS: u32 = 1;

const STRANGER: &str = "this node was never let into the cluster of this database, or was removed from it, or joined \
    after the backup that was restored: let it in with `ocmt cluster invite` and `ocmt cluster join`, in an empty \
    data folder";

/// A node that is registered, and its store.
pub(super) struct Place {
    pub(super) store: Store,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) cluster: ClusterId,
    pub(super) router: Router,
    pub(super) lease: Lease,
    /// None for a node without peers.
    pub(super) membership: Option<Membership>,
    /// Tells the heartbeat that this runtime moves, or keeps in mind who is revoked where there is none; for as
    /// long as this life has its place.
    _beside: AbortOnDropHandle<()>,
}

/// What the place is taken with.
pub(super) struct Claimant<'a> {
    pub(super) config: &'a Config,
    pub(super) software: &'a Software,
    pub(super) node: NodeId,
    pub(super) endpoints: &'a Endpoints,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) ids: &'a Arc<dyn IdGen>,
}

impl Place {
    /// Opens the store and registers this life of the node.
    pub(super) async fn take(claimant: &Claimant<'_>) -> Result<Self, StartError> {
        let config = claimant.config;
        match config.store.place() {
            None => Self::alone(claimant, config.node.data_dir.join("db")).await,
            Some(StorePlace::Sqlite(folder)) => Self::alone(claimant, folder).await,
            Some(StorePlace::Postgres(url)) => Self::among_others(claimant, &url).await,
        }
    }

    async fn alone(claimant: &Claimant<'_>, folder: PathBuf) -> Result<Self, StartError> {
        let store = Store::sqlite(folder).await?;
        let Claimant { software, node, endpoints, clock, ids, .. } = claimant;
        let who = Alone { node_id: *node, addr: &endpoints.client, version: &software.version };
        let (single, cluster) = SingleNode::start(store.clone(), who, &***clock, &***ids).await?;
        let revoked = RevokedFile::of(&claimant.config.node.data_dir);
        let remembering = revoked::keep(store.clone(), revoked, *node, &***clock, &***ids).await?;
        Ok(Self {
            store,
            node: *node,
            incarnation: single.incarnation(),
            cluster: cluster.cluster_id,
            router: Router::alone(),
            lease: Lease::alone(),
            membership: None,
            _beside: remembering,
        })
    }

    async fn among_others(claimant: &Claimant<'_>, url: &str) -> Result<Self, StartError> {
        let config = claimant.config;
        let database = database::postgres(&config.store, url)?;
        let memory_mib = host_memory::offered(config).await;
        let membership = Membership::start(membership(claimant, memory_mib, &database)?).await?;
        let progress = AbortOnDropHandle::new(tasks::spawn(membership.progress().run()));
        let identity = PgIdentity::Life(claimant.node, membership.incarnation());
        let store = Store::postgres(&PgConfig { identity, ..database }).await?;
        let cluster = store.cluster().cluster(claimant.ids.id(), claimant.clock.now()).await?;
        Ok(Self {
            node: claimant.node,
            cluster: cluster.cluster_id,
            incarnation: membership.incarnation(),
            router: Router::new(store.clone(), &membership),
            lease: membership.lease(),
            store,
            membership: Some(membership),
            _beside: progress,
        })
    }

    /// The cluster as observed last; empty for a node without peers.
    pub(super) fn views(&self) -> watch::Receiver<Arc<View>> {
        match &self.membership {
            Some(membership) => membership.view(),
            None => watch::channel(Arc::default()).1,
        }
    }

    /// Ready when this life of the node is over; never for a node without peers.
    pub(super) async fn ended(&self) -> Ending {
        match &self.membership {
            Some(membership) => membership.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Tells the others that this node serves, or that it empties itself.
    pub(super) async fn stand(&self, state: NodeState) -> Result<(), StartError> {
        if let Some(membership) = &self.membership {
            membership.set_state(state).await?;
        }
        Ok(())
    }
}

/// The store, if the node belongs to the cluster that lives in it.
async fn of_the_cluster(store: Store, node: NodeId) -> Result<Store, StoreError> {
    if store.cluster().belongs(node).await? {
        Ok(store)
    } else {
        Err(StoreError::Schema(STRANGER.to_owned()))
    }
}

fn membership(
    claimant: &Claimant<'_>,
    memory_mib: u32,
    database: &PgConfig,
) -> Result<MembershipConfig, StartError> {
    let Claimant { config, software, node, endpoints, clock, ids } = claimant;
    let own = PgConfig {
        identity: PgIdentity::Heartbeat(*node),
        tenant_connections: HEARTBEAT_CONNECTIONS,
        cluster_connections: HEARTBEAT_CONNECTIONS,
        ..database.duplicate()
    };
    let id = *node;
    let connect: Connect = Arc::new(move || {
        let own = own.duplicate();
        Box::pin(async move { of_the_cluster(Store::postgres(&own).await?, id).await })
    });
    Ok(MembershipConfig {
        node_id: *node,
        addr: config.cluster.advertise.clone(),
        endpoint: endpoints.client.clone(),
        capacity: i64::from(config.cluster.capacity),
        memory_mib: i64::from(memory_mib),
        version: software.version.clone(),
        times: LeaseTimes::default(),
        connect,
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
        thread: Arc::new(HeartbeatThread),
        memory: Arc::new(FolderMemory::open(&config.node.data_dir)?),
    })
}
