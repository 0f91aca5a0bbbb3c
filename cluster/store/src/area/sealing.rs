//! Generations of the sealing key: which there are, which node holds which, and what is still wrapped under an
//! earlier one. The keys themselves are on the nodes' disks.
//!
//! A generation stands *alone* when nothing is wrapped under an earlier one and no node wraps under an earlier
//! one any more. That is decided once, in one transaction, and written down; the nodes erase earlier ones after
//! it. A node that registers meanwhile comes before the decision, which then waits for it, or sees it. So does whoever
//! writes something wrapped ([`FencedTx::may_write_wrapped`](crate::FencedTx::may_write_wrapped)).

use std::collections::BTreeSet;

use ocmt_crypto::sealing::SealingKeys;
use ocmt_types::{NodeId, TenantId, Timestamp};

use super::{
    honoured::known_nodes,
    nodes::ALIVE,
    operator::{OperatorStore, retried},
    revoked::revoked_nodes,
    trail::{ClusterAct, Trail},
};
use crate::{
    Filter, Row, StoreError,
    backend::{Scope, Tx},
    kernel::filter::Col,
    tables::{
        AlertChannel, AuditStream, Ceremony, Cluster, Container, Node, OidcProvider, SealingGeneration,
        SealingHolder, TotpEnrollment, User,
    },
};

/// The lock of whoever writes something wrapped, and of whoever decides that a generation stands alone.
const WRITERS: &str = "wrapped secrets";

/// The earliest generation that nodes hold and the one to wrap under: what lies between is to be rewrapped. What
/// is under generations before `lowest` opens nowhere any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrap {
    /// The earliest.
    pub lowest: u32,
    /// The latest.
    pub latest: u32,
}

/// Which nodes may have the key of a generation on their disks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MayHold {
    /// Whether the node that asks said that it wraps under it, or under a later one.
    pub own: bool,
    /// All others that were let in or have ever run, and were not revoked since: a node takes a key before it says so.
    pub others: BTreeSet<NodeId>,
}

/// What came of a wish for the next generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It is due, with this number.
    Due(i64),
    /// The latest is not in use everywhere.
    NotAlone,
    /// Until then gateway tokens are good that are of the generation before the latest, and that the next would end.
    Overlaps(Timestamp),
}

/// How far the rewrapping is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrapping {
    /// Wrapped secrets under an earlier generation.
    pub left: i64,
    /// Living nodes that have not said that they wrap under the latest.
    pub behind: Vec<NodeId>,
}

impl Rewrapping {
    /// Whether nothing stands in the way of erasing.
    pub fn is_done(&self) -> bool {
        self.left == 0 && self.behind.is_empty()
    }
}

impl Rewrap {
    fn of<R: Row>(self, column: Col<R, Option<Vec<u8>>>) -> Filter<R> {
        let floor = |generation| Some(SealingKeys::floor_of(generation));
        column.gt(floor(self.lowest)).and(column.le(floor(self.latest)))
    }

    fn of_required<R: Row>(self, column: Col<R, Vec<u8>>) -> Filter<R> {
        column.gt(SealingKeys::floor_of(self.lowest)).and(column.le(SealingKeys::floor_of(self.latest)))
    }

    fn ceremonies(self) -> Filter<Ceremony> {
        self.of(Ceremony::release_private_wrapped)
    }

    fn containers(self) -> Filter<Container> {
        self.of(Container::start_secret)
    }

    fn users(self) -> Filter<User> {
        self.of(User::totp_wrapped)
    }

    fn enrollments(self) -> Filter<TotpEnrollment> {
        self.of_required(TotpEnrollment::wrapped)
    }

    fn channels(self) -> Filter<AlertChannel> {
        self.of_required(AlertChannel::wrapped)
    }

    fn streams(self) -> Filter<AuditStream> {
        self.of_required(AuditStream::wrapped)
    }

    fn providers(self) -> Filter<OidcProvider> {
        self.of(OidcProvider::secret_wrapped)
    }
}

impl crate::FencedTx {
    /// Ceremonies of the tenant whose release key is under an earlier generation, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ceremonies_to_rewrap(
        &mut self,
        what: Rewrap,
        limit: u32,
    ) -> Result<Vec<Ceremony>, StoreError> {
        self.find(what.ceremonies().limit(limit)).await
    }

    /// Containers of the tenant whose start secret is under an earlier generation, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn containers_to_rewrap(
        &mut self,
        what: Rewrap,
        limit: u32,
    ) -> Result<Vec<Container>, StoreError> {
        self.find(what.containers().limit(limit)).await
    }

    /// Users of the tenant whose TOTP secret is under an earlier generation, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn users_to_rewrap(&mut self, what: Rewrap, limit: u32) -> Result<Vec<User>, StoreError> {
        self.find(what.users().limit(limit)).await
    }

    /// The same for TOTP secrets that were not confirmed yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn enrollments_to_rewrap(
        &mut self,
        what: Rewrap,
        limit: u32,
    ) -> Result<Vec<TotpEnrollment>, StoreError> {
        self.find(what.enrollments().limit(limit)).await
    }

    /// The same for channels of alerts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn channels_to_rewrap(
        &mut self,
        what: Rewrap,
        limit: u32,
    ) -> Result<Vec<AlertChannel>, StoreError> {
        self.find(what.channels().limit(limit)).await
    }

    /// The same for where the audit is streamed to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn stream_to_rewrap(&mut self, what: Rewrap) -> Result<Option<AuditStream>, StoreError> {
        self.first(what.streams()).await
    }

    /// The same for the secret of a client at the tenant's own provider.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn provider_to_rewrap(&mut self, what: Rewrap) -> Result<Option<OidcProvider>, StoreError> {
        self.first(what.providers()).await
    }
}

impl crate::FencedTx {
    /// Whether what is wrapped may be written in this transaction: not if its generation was given up since. It is
    /// not given up before this transaction ends, so a node that stood still between wrapping and writing leaves no
    /// row that nobody opens.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn may_write_wrapped(&mut self, wrapped: &[u8]) -> Result<bool, StoreError> {
        let tx = self.beneath();
        tx.serialise_shared(WRITERS).await?;
        let alone = SealingGeneration::alone_since.gt(Some(Timestamp(i64::MIN)));
        let alone = tx.first::<SealingGeneration>(alone.desc(SealingGeneration::generation), false).await?;
        let lowest = alone.map_or(0, |row| u32::try_from(row.generation).unwrap_or(u32::MAX));
        Ok(wrapped > SealingKeys::floor_of(lowest).as_slice())
    }
}

impl OperatorStore {
    /// The latest generation of the sealing key, and the node that was to make it; none before the second.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn latest_generation(&self) -> Result<Option<SealingGeneration>, StoreError> {
        self.backend.begin_read(Scope::Cluster).await?.first(newest(), false).await
    }

    /// Writes down that `made_by`, which holds `held`, makes the next generation, as an operator asks; nothing but for
    /// [`Rotation::Due`]. Gateway tokens of the one before are good until `overlap_until`; without it no earlier overlap counts.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn rotate_sealing(
        &self,
        made_by: NodeId,
        held: u32,
        overlap_until: Option<Timestamp>,
        act: &ClusterAct,
    ) -> Result<Rotation, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            let latest = tx.first::<SealingGeneration>(newest(), false).await?;
            if latest.as_ref().is_some_and(|latest| latest.alone_since.is_none()) {
                return Ok(Rotation::NotAlone);
            }
            let of_before = latest.and_then(|latest| latest.overlap_until).filter(|until| act.at < *until);
            if let (Some(until), Some(_)) = (of_before, overlap_until) {
                return Ok(Rotation::Overlaps(until));
            }
            let due = next(&mut tx, made_by, i64::from(held), (act.at, overlap_until)).await?;
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(Rotation::Due(due))
        })
    }

    /// A node says that it wraps under `generation` and under none before it, from now on and since all that it
    /// has in hand.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn wraps_under(&self, node_id: NodeId, generation: u32) -> Result<(), StoreError> {
        let mut tx = self.backend.begin(Scope::Cluster).await?;
        let row = SealingHolder { node_id, generation: i64::from(generation) };
        if !tx.insert(&row).await? {
            tx.update_if(&row, SealingHolder::generation.le(row.generation)).await?;
        }
        tx.commit().await
    }

    /// Who may have the key of `generation`, for node `own`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn may_hold(&self, generation: u32, own: NodeId) -> Result<MayHold, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let gone = revoked_nodes(&mut tx).await?;
        let mut others = known_nodes(&mut tx).await?;
        others.retain(|node| *node != own && !gone.contains(node));
        let said =
            SealingHolder::node_id.eq(own).and(SealingHolder::generation.gt(i64::from(generation) - 1));
        let own = tx.first::<SealingHolder>(said, false).await?.is_some();
        Ok(MayHold { own, others })
    }

    /// Tenants with something to rewrap, in the order of their ids and behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn tenants_to_rewrap(
        &self,
        what: Rewrap,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError> {
        let mut tx = self.backend.begin_read(Scope::Cluster).await?;
        let (mut ceremonies, mut containers) = (what.ceremonies(), what.containers());
        let (mut users, mut enrollments) = (what.users(), what.enrollments());
        let (mut providers, mut channels, mut streams) = (what.providers(), what.channels(), what.streams());
        if let Some(after) = after {
            ceremonies = ceremonies.and(Ceremony::tenant_id.gt(after));
            containers = containers.and(Container::tenant_id.gt(after));
            users = users.and(User::tenant_id.gt(after));
            enrollments = enrollments.and(TotpEnrollment::tenant_id.gt(after));
            providers = providers.and(OidcProvider::tenant_id.gt(after));
            channels = channels.and(AlertChannel::tenant_id.gt(after));
            streams = streams.and(AuditStream::tenant_id.gt(after));
        }
        let mut tenants = tx.tenants_of(ceremonies, limit).await?;
        tenants.extend(tx.tenants_of(containers, limit).await?);
        tenants.extend(tx.tenants_of(users, limit).await?);
        tenants.extend(tx.tenants_of(enrollments, limit).await?);
        tenants.extend(tx.tenants_of(providers, limit).await?);
        tenants.extend(tx.tenants_of(channels, limit).await?);
        tenants.extend(tx.tenants_of(streams, limit).await?);
        tenants.sort_unstable();
        tenants.dedup();
        tenants.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(tenants)
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rewrapping(&self, what: Rewrap) -> Result<Rewrapping, StoreError> {
        look(&mut self.backend.begin_read(Scope::Cluster).await?, what).await
    }

    /// Has the latest generation stand alone, if it does: `false` if something is under an earlier one still, or
    /// a living node may wrap under one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    pub async fn stand_alone(&self, what: Rewrap, act: &ClusterAct) -> Result<bool, StoreError> {
        retried!(async {
            let mut tx = self.backend.begin(Scope::Cluster).await?;
            let trail = Trail::open(&mut tx).await?;
            // whoever registers raises the view's version: before this, or after the end of it
            tx.first::<Cluster>(Filter::all(), true).await?;
            let latest = tx.first::<SealingGeneration>(newest(), true).await?;
            let latest = latest.filter(|row| row.generation == i64::from(what.latest));
            let Some(latest) = latest else { return Ok(false) };
            if latest.alone_since.is_some() {
                return Ok(true);
            }
            // whoever writes something wrapped comes before the count, or reads what is decided here
            tx.serialise(WRITERS).await?;
            if !look(&mut tx, what).await?.is_done() {
                return Ok(false);
            }
            let alone = SealingGeneration { alone_since: Some(act.at), ..latest };
            if !tx.update_if(&alone, SealingGeneration::alone_since.eq(None)).await? {
                return Err(StoreError::Conflict);
            }
            trail.append(&mut tx, act).await?;
            tx.commit().await?;
            Ok(true)
        })
    }
}

/// Writes down that `made_by` makes the next generation, above `held` and all that are written down: others may have those.
pub(super) async fn make_generation(
    tx: &mut Tx,
    made_by: NodeId,
    held: i64,
    at: Timestamp,
) -> Result<i64, StoreError> {
    next(tx, made_by, held, (at, None)).await
}

async fn next(
    tx: &mut Tx,
    made_by: NodeId,
    held: i64,
    (made_at, overlap_until): (Timestamp, Option<Timestamp>),
) -> Result<i64, StoreError> {
    let before = tx.first::<SealingGeneration>(newest(), false).await?.map_or(held, |row| row.generation);
    let generation = before.max(held) + 1;
    let row = SealingGeneration { generation, made_by, made_at, alone_since: None, overlap_until };
    if tx.insert(&row).await? { Ok(row.generation) } else { Err(StoreError::Conflict) }
}

fn newest() -> crate::Query<SealingGeneration> {
    Filter::all().desc(SealingGeneration::generation)
}

async fn look(tx: &mut Tx, what: Rewrap) -> Result<Rewrapping, StoreError> {
    let left = tx.count(what.ceremonies()).await?
        + tx.count(what.containers()).await?
        + tx.count(what.users()).await?
        + tx.count(what.enrollments()).await?
        + tx.count(what.providers()).await?
        + tx.count(what.channels()).await?
        + tx.count(what.streams()).await?;
    let holders = SealingHolder::generation.gt(i64::from(what.latest) - 1);
    let holders = tx.find::<SealingHolder>(holders, false).await?;
    let mut behind = Vec::new();
    for state in ALIVE {
        for node in tx.find::<Node>(Node::state.eq(state), false).await? {
            if !holders.iter().any(|holder| holder.node_id == node.node_id) {
                behind.push(node.node_id);
            }
        }
    }
    Ok(Rewrapping { left, behind })
}
