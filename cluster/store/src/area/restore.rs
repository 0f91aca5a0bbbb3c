//! Going back to an older state of the database, and saying so.
//!
//! A restore brings back what was ended since: sessions, links, invitations, ceremonies that were stopped. So a
//! restored database carries a mark, no node registers on it, and accepting it ends everything of the kind at
//! once. Every tenant's audit tells of it, in its own chain.

use ocmt_crypto::audit::{Actor, AuditRecord, Outcome};
use ocmt_types::{Epoch, Incarnation, NodeId, Ownership, RequestId, TenantId, Timestamp};

use super::{
    honoured::no_node_runs,
    revoked::{self, Again, Revocations},
    sealing::make_generation,
    trail::{ClusterAct, Trail},
};
use crate::{
    FencedTx, Filter, MAX_LIMIT, Query, Row, Store, StoreError,
    backend::{Scope, Tx},
    tables::{
        ApiKeyRow, BackupCode, Capability, CapabilityState, Ceremony, CeremonyPurpose, CeremonyRequest,
        CeremonyState, Cluster, Deletion, DestructiveAct, EmailChange, GroupVault, Invite, JoinToken, Link,
        LostMailbox, Node, NodeLease, NodeState, OauthFlow, OidcLogin, Pairing, PasskeyChallenge,
        PasskeySignIn, ProgramGrant, ProgramPace, ProgramToken, RESTORE_STEP, RotationDue, Session, Share,
        ShareRight, ShareState, SharedWrite, Signup, Snapshot, Tenant, TenantOwner, TotpEnrollment,
    },
};

/// What the audit calls it.
const ACTION: &str = "cluster.accept_restore";

/// Who accepts a restore, and when.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// When.
    pub at: Timestamp,
    /// In which request.
    pub request: RequestId,
    /// Who.
    pub actor: Actor,
    /// The highest version of the view that anybody has seen; 0 if that is not known. A database that shows an
    /// older one was put back, by whatever means.
    pub floor: i64,
    /// Whether somebody knows that it was put back, although its view is not older than any seen: nodes renew
    /// their leases many times between two versions of the view.
    pub went_back: bool,
    /// Nodes and operators that are known to have been revoked, whatever the database says.
    pub revoked: Revocations,
    /// Who makes the next generation of the sealing key, and the latest that it holds; none if this is not
    /// done from a node's data folder.
    pub sealing: Option<(NodeId, u32)>,
}

impl Acceptance {
    /// Whether there is something to accept.
    pub fn is_due(&self, cluster: &Cluster) -> bool {
        cluster.restored_at.is_some() || self.floor > cluster.view_version || self.went_back
    }
}

/// What was ended by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The version of the view from here on, above any that was seen.
    pub view_version: i64,
    /// Tenants, each with a record in its audit.
    pub tenants: u64,
    /// Sessions ended.
    pub sessions: u64,
    /// Links, invitations of users and of nodes, sign-ups and confirmations dropped.
    pub tokens: u64,
    /// Ceremonies cancelled.
    pub ceremonies: u64,
    /// Shares between people ended.
    pub shares: u64,
    /// Snapshots of which it is not known any more whether they are there and whole.
    pub snapshots: u64,
    /// Nodes and operators revoked that the database honoured.
    pub revoked: u64,
    /// The generation of the sealing key that is due, if it is known who makes it.
    pub sealing_generation: Option<i64>,
}

impl Store {
    /// Accepts that the database was put back: revokes whom it has forgotten to be revoked, ends all sessions,
    /// drops every token that is good once, cancels open ceremonies (a vault of a group that was open by one is due
    /// for new keys), buries all nodes, frees all tenants, has a new generation of the sealing key made and raises the
    /// view's version above any seen. One transaction, for when no node runs.
    ///
    /// # Errors
    /// [`StoreError::NodesRun`] if a node does; [`StoreError::Invalid`] if the database was not restored, or has
    /// no cluster; [`StoreError::Unavailable`], [`StoreError::Full`], [`StoreError::OutcomeUnknown`].
    pub async fn accept_restore(&self, acceptance: &Acceptance) -> Result<Accepted, StoreError> {
        let mut tx = self.backend().begin(Scope::Schema).await?;
        let invalid = |what| StoreError::Invalid { table: "cluster", what };
        let Some(cluster) = tx.first::<Cluster>(Filter::all(), true).await? else {
            return Err(invalid("the database has no cluster"));
        };
        if !acceptance.is_due(&cluster) {
            return Err(invalid("the database was not restored, there is nothing to accept"));
        }
        // whoever registers now waits for the row above; whoever did before is connected
        no_node_runs(&mut tx).await?;
        let seen = cluster.view_version.max(acceptance.floor);
        let view_version = (seen / RESTORE_STEP + 1) * RESTORE_STEP;
        tx.update_if(&Cluster { view_version, restored_at: None, ..cluster }, Filter::all()).await?;
        let again = Again { at: acceptance.at, request: acceptance.request, actor: acceptance.actor };
        let revoked = revoked::write(&mut tx, &acceptance.revoked, &again).await?;
        let trail = Trail::open(&mut tx).await?;
        bury_nodes(&mut tx).await?;
        let mut accepted = Accepted {
            view_version,
            sessions: end_sessions(&mut tx, acceptance.at).await?,
            tokens: drop_tokens(&mut tx).await?,
            ceremonies: cancel_ceremonies(&mut tx, acceptance.at).await?,
            shares: end_shares(&mut tx, acceptance.at).await?,
            snapshots: doubt_snapshots(&mut tx).await?,
            revoked: revoked.len() as u64,
            ..Accepted::default()
        };
        if let Some((made_by, held)) = acceptance.sealing {
            let due = make_generation(&mut tx, made_by, i64::from(held), acceptance.at).await?;
            accepted.sealing_generation = Some(due);
        }
        (tx, accepted.tenants) = tell_tenants(tx, acceptance).await?;
        trail.append(&mut tx, &act(acceptance, &accepted)).await?;
        tx.commit().await?;
        Ok(accepted)
    }
}

/// Marks the database as put back.
pub(crate) async fn mark(tx: &mut Tx, at: Timestamp) -> Result<(), StoreError> {
    if let Some(cluster) = tx.first::<Cluster>(Filter::all(), true).await? {
        tx.update_if(&Cluster { restored_at: Some(at), ..cluster }, Filter::all()).await?;
    }
    Ok(())
}

/// Changes every row that the filter names, which must not name it afterwards.
async fn change_all<R: Row>(
    tx: &mut Tx,
    filter: Filter<R>,
    change: impl Fn(R) -> R,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    loop {
        let rows = tx.find(Query::from(filter.clone()).limit(MAX_LIMIT), false).await?;
        if rows.is_empty() {
            return Ok(changed);
        }
        for row in rows {
            if !tx.update_if(&change(row), filter.clone()).await? {
                return Err(StoreError::Conflict);
            }
            changed += 1;
        }
    }
}

/// No life of before goes on: its claims and its leases are of a history that is no more.
async fn bury_nodes(tx: &mut Tx) -> Result<(), StoreError> {
    change_all(tx, NodeLease::ended.eq(false), |lease| NodeLease { ended: true, ..lease }).await?;
    for state in [NodeState::Joining, NodeState::Live, NodeState::Draining] {
        change_all(tx, Node::state.eq(state), |node| Node { state: NodeState::Dead, ..node }).await?;
    }
    Ok(())
}

async fn end_sessions(tx: &mut Tx, at: Timestamp) -> Result<u64, StoreError> {
    change_all(tx, Session::ended_at.eq(None), |session| Session { ended_at: Some(at), ..session }).await
}

async fn drop_tokens(tx: &mut Tx) -> Result<u64, StoreError> {
    tx.delete::<ProgramGrant>(Filter::all()).await?;
    // one that was refused since must not wait again, and what was given is over
    for state in [CapabilityState::Requested, CapabilityState::Approved] {
        tx.delete::<Capability>(Capability::state.eq(state)).await?;
    }
    Ok(tx.delete::<Link>(Filter::all()).await?
        // which of them were used since, nobody knows any more: their owners make new ones
        + tx.delete::<BackupCode>(Filter::all()).await?
        + tx.delete::<TotpEnrollment>(Filter::all()).await?
        + tx.delete::<PasskeyChallenge>(Filter::all()).await?
        + tx.delete::<PasskeySignIn>(Filter::all()).await?
        // one that was stopped since must not come to count
        + tx.delete::<EmailChange>(Filter::all()).await?
        + tx.delete::<LostMailbox>(Filter::all()).await?
        // nor one of a whole tenant come to be carried out; its timer finds nothing
        + tx.delete::<Deletion>(Deletion::began_at.eq(None)).await?
        + tx.delete::<OidcLogin>(Filter::all()).await?
        + tx.delete::<OauthFlow>(Filter::all()).await?
        + tx.delete::<Invite>(Filter::all()).await?
        + tx.delete::<Signup>(Filter::all()).await?
        + tx.delete::<Pairing>(Filter::all()).await?
        + tx.delete::<ProgramToken>(Filter::all()).await?
        + tx.delete::<ProgramPace>(Filter::all()).await?
        + tx.delete::<ApiKeyRow>(Filter::all()).await?
        + tx.delete::<JoinToken>(Filter::all()).await?
        + tx.delete::<DestructiveAct>(Filter::all()).await?)
}

/// A ceremony that was stopped after the backup must not go on by it. Its release key goes with it.
async fn cancel_ceremonies(tx: &mut Tx, at: Timestamp) -> Result<u64, StoreError> {
    let cancel = |ceremony: Ceremony| Ceremony {
        state: CeremonyState::Cancelled,
        release_private_wrapped: None,
        ended_at: Some(at),
        version: ceremony.version + 1,
        ..ceremony
    };
    let mut cancelled = end_unlocks(tx, at, cancel).await?;
    for state in CeremonyState::LIVE {
        cancelled += change_all(tx, Ceremony::state.eq(state), cancel).await?;
        change_all(tx, CeremonyRequest::state.eq(state), |request| CeremonyRequest {
            state: CeremonyState::Cancelled,
            version: request.version + 1,
            updated_at: at,
            ..request
        })
        .await?;
    }
    Ok(cancelled)
}

/// Of a group's vault that several had opened: who had its key by that may have kept it, however the unlock ends.
async fn end_unlocks(
    tx: &mut Tx,
    at: Timestamp,
    cancel: impl Fn(Ceremony) -> Ceremony,
) -> Result<u64, StoreError> {
    let open = Ceremony::purpose.eq(CeremonyPurpose::Unlock).and(Ceremony::state.eq(CeremonyState::Released));
    let mut ended = 0;
    loop {
        let rows = tx.find(open.clone().limit(MAX_LIMIT), false).await?;
        if rows.is_empty() {
            return Ok(ended);
        }
        for row in rows {
            let of = GroupVault::tenant_id.eq(row.tenant_id).and(GroupVault::vault_id.eq(row.vault_id));
            if let Some(vault) = tx.first::<GroupVault>(of, false).await?.filter(|vault| vault.due.is_none())
            {
                let due = GroupVault { due: Some(RotationDue::Unlocked), due_since: Some(at), ..vault };
                tx.update_if(&due, Filter::all()).await?;
            }
            if !tx.update_if(&cancel(row), open.clone()).await? {
                return Err(StoreError::Conflict);
            }
            ended += 1;
        }
    }
}

/// A share that was taken back since must not come to count. What was given is listed, so that it can be given anew.
async fn end_shares(tx: &mut Tx, at: Timestamp) -> Result<u64, StoreError> {
    tx.delete::<ShareRight>(Filter::all()).await?;
    tx.delete::<SharedWrite>(Filter::all()).await?;
    let mut ended = 0;
    for state in [ShareState::Offered, ShareState::Accepted] {
        ended += change_all(tx, Share::state.eq(state), |share| Share {
            state: ShareState::Revoked,
            ended_at: Some(at),
            ..share
        })
        .await?;
    }
    Ok(ended)
}

/// The object store did not go back: what was deleted there since is listed again, and only a look at it says that it is there.
async fn doubt_snapshots(tx: &mut Tx) -> Result<u64, StoreError> {
    change_all(tx, Snapshot::verified.eq(true), |snapshot| Snapshot { verified: false, ..snapshot }).await
}

/// Frees each tenant under the next epoch and appends to its chain.
async fn tell_tenants(mut tx: Tx, acceptance: &Acceptance) -> Result<(Tx, u64), StoreError> {
    let (mut told, mut after) = (0, None::<TenantId>);
    loop {
        let behind = after.map_or_else(Filter::all, |after| Tenant::tenant_id.gt(after));
        let page = tx.find(behind.asc(Tenant::tenant_id).limit(MAX_LIMIT), false).await?;
        let Some(last) = page.last() else { return Ok((tx, told)) };
        after = Some(last.tenant_id);
        for tenant in page {
            let owner = tx.first::<TenantOwner>(TenantOwner::tenant_id.eq(tenant.tenant_id), true).await?;
            let epoch = Epoch(owner.map_or(0, |owner| owner.epoch.0) + 1);
            let free = TenantOwner { tenant_id: tenant.tenant_id, node_id: None, incarnation: None, epoch };
            tx.update_if(&free, Filter::all()).await?;
            // the audit of a tenant is written by its transactions; nobody owns it in this one
            let ownership = Ownership { tenant: tenant.tenant_id, incarnation: Incarnation([0; 16]), epoch };
            let mut fenced = FencedTx::new(tx, ownership);
            fenced.audit(&record(tenant.tenant_id, acceptance)).await?;
            tx = fenced.into_tx();
            told += 1;
        }
    }
}

fn record(tenant: TenantId, acceptance: &Acceptance) -> AuditRecord {
    AuditRecord {
        tenant,
        at: acceptance.at,
        request: acceptance.request,
        actor: acceptance.actor,
        action: ACTION.to_owned(),
        object: format!("tenant/{tenant}"),
        outcome: Outcome::Allowed,
        details: Vec::new(),
    }
}

fn act(acceptance: &Acceptance, accepted: &Accepted) -> ClusterAct {
    let count = |name: &str, count: u64| (name.to_owned(), count.to_string());
    ClusterAct {
        at: acceptance.at,
        request: acceptance.request,
        actor: acceptance.actor,
        action: ACTION,
        object: String::new(),
        outcome: Outcome::Allowed,
        details: vec![
            count("tenants", accepted.tenants),
            count("sessions", accepted.sessions),
            count("tokens", accepted.tokens),
            count("ceremonies", accepted.ceremonies),
            count("shares", accepted.shares),
            count("snapshots", accepted.snapshots),
            count("revoked", accepted.revoked),
        ],
        remember: None,
    }
}
