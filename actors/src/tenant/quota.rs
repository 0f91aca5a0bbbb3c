//! Limits at work: each is looked at in the transaction of what it limits. A tenant's transactions come one after the
//! other, so what is counted in one is what it writes upon, whoever else asks at the same time and on which node.

use ocmt_store::{
    Filter,
    tables::{
        Container, ContainerState, Conversation, Invite, QuotaRow, Snapshot, Tenant, TenantState, Usage,
        User, UserState, VaultObject,
    },
};

use crate::{
    effect::Effect,
    env::Scope,
    error::ActorError,
    quota::{Quota, within},
    tenant::{pages::pages, session_row},
    work::{Outcome, Work},
};

/// Bytes of a MiB.
const MIB: i64 = 1 << 20;

/// States of a container that its host has, and that so has memory.
pub(super) const LIVE: [ContainerState; 6] = [
    ContainerState::Creating,
    ContainerState::Running,
    ContainerState::Pausing,
    ContainerState::Paused,
    ContainerState::Stopping,
    ContainerState::Waking,
];

/// The limits in force.
pub(crate) async fn limit(work: &mut Work) -> Result<Quota, ActorError> {
    Ok(Quota::of(work.tx.get::<QuotaRow>(()).await?.as_ref()))
}

/// What of them is used, calls apart.
pub(super) async fn used(work: &mut Work) -> Result<Quota, ActorError> {
    Ok(Quota {
        users: users(work).await? + invited(work).await?,
        containers: work.tx.count::<Container>(Filter::all()).await?,
        memory_bytes: memory(work, None).await? * MIB,
        storage_bytes: stored(work).await?,
        calls_per_minute: 0,
    })
}

/// Refuses one more invitation, or one more user, if the quota of users is used up.
pub(super) async fn one_more_user(work: &mut Work, invited_ones_count: bool) -> Result<(), ActorError> {
    let limit = limit(work).await?.users;
    let invited = if invited_ones_count { invited(work).await? } else { 0 };
    within("QUOTA_USERS", "users", users(work).await? + invited + 1, limit)
}

/// Refuses one more container.
pub(super) async fn one_more_container(work: &mut Work) -> Result<(), ActorError> {
    let limit = limit(work).await?.containers;
    let there = work.tx.count::<Container>(Filter::all()).await?;
    within("QUOTA_CONTAINERS", "containers", there + 1, limit)
}

/// Refuses to bring a container to life that is not: in a tenant that is not served, or if its memory is more
/// than is left. In the transaction that writes down that it is to live.
pub(crate) async fn may_live(work: &mut Work, row: &Container) -> Result<(), ActorError> {
    let tenant = work.tx.get::<Tenant>(()).await?.ok_or(ActorError::NotFound)?;
    if tenant.state != TenantState::Active {
        return Err(session_row::not_served(tenant.state));
    }
    let limit = limit(work).await?.memory_bytes;
    let wanted = memory(work, Some(row)).await?.saturating_add(row.memory_mib).saturating_mul(MIB);
    within("QUOTA_MEMORY", "bytes of memory", wanted, limit)
}

/// Bytes of a volume of this size.
pub(crate) fn volume_bytes(mib: i64) -> i64 {
    mib.saturating_mul(MIB)
}

/// Takes so many more bytes, of ciphertext or of a volume's size, or fewer, into account, and refuses what is past the limit. Before the
/// change itself: the first time it counts what is there.
pub(super) async fn store_bytes(work: &mut Work, more: i64) -> Result<(), ActorError> {
    let bytes = count_bytes(work, more).await?;
    let limit = limit(work).await?.storage_bytes;
    if more > 0 { within("QUOTA_STORAGE", "bytes of storage", bytes, limit) } else { Ok(()) }
}

/// Refuses to begin what will take more, if nothing is left.
pub(super) async fn is_not_used_up(work: &mut Work) -> Result<(), ActorError> {
    let limit = limit(work).await?.storage_bytes;
    within("QUOTA_STORAGE", "bytes of storage", stored(work).await?.saturating_add(1), limit)
}

/// The same for what no limit may hold up.
pub(crate) async fn count_bytes(work: &mut Work, more: i64) -> Result<i64, ActorError> {
    let storage_bytes = stored(work).await?.saturating_add(more).max(0);
    work.tx.upsert(&Usage { tenant_id: work.ownership.tenant, storage_bytes }).await?;
    Ok(storage_bytes)
}

async fn users(work: &mut Work) -> Result<i64, ActorError> {
    Ok(work.tx.count::<User>(User::state.eq(UserState::Active)).await?)
}

async fn invited(work: &mut Work) -> Result<i64, ActorError> {
    let now = work.now;
    Ok(work.tx.count::<Invite>(Invite::expires_at.gt(now)).await?)
}

/// Memory of what is live, in MiB, without one.
async fn memory(work: &mut Work, without: Option<&Container>) -> Result<i64, ActorError> {
    let mut sum = 0_i64;
    for state in LIVE {
        for row in work.tx.find::<Container>(Container::observed.eq(state)).await? {
            if without.is_none_or(|without| without.container_id != row.container_id) {
                sum = sum.saturating_add(row.memory_mib);
            }
        }
    }
    Ok(sum)
}

async fn stored(work: &mut Work) -> Result<i64, ActorError> {
    if let Some(usage) = work.tx.get::<Usage>(()).await? {
        return Ok(usage.storage_bytes);
    }
    let (mut sum, mut last) = (0_i64, None);
    loop {
        let page = match &last {
            Some(last) => work.tx.find::<VaultObject>(Filter::all().after(last)).await?,
            None => work.tx.find::<VaultObject>(Filter::all()).await?,
        };
        let Some(end) = page.last() else { break };
        last = Some((end.vault_id, end.object_id));
        sum = page.iter().fold(sum, |sum, object| sum.saturating_add(object.body_bytes));
    }
    pages!(work, Conversation, conversation_id, page => {
        sum = page.iter().fold(sum, |sum, row| sum.saturating_add(row.total_bytes - row.pruned_bytes));
    });
    pages!(work, Snapshot, snapshot_id, page => {
        sum = page.iter().fold(sum, |sum, row| sum.saturating_add(row.size_bytes));
    });
    pages!(work, Container, container_id, page => {
        sum = page.iter().fold(sum, |sum, row| sum.saturating_add(volume_bytes(row.volume_mib)));
    });
    Ok(sum)
}

/// A fresh activation learns its limit of calls: a read, beside which nothing is written.
pub(super) async fn load(scope: Scope) -> Outcome {
    let read = async {
        let mut tx = scope.read().await?;
        Ok::<_, ActorError>(Quota::of(tx.get::<QuotaRow>(()).await?.as_ref()))
    };
    match read.await {
        Ok(quota) => Outcome { effects: vec![Effect::QuotaIs(quota)], ..Outcome::default() },
        Err(error) => {
            tracing::debug!(tenant = %scope.ownership.tenant, %error, "limits could not be read, the defaults hold");
            Outcome { terminal: error.is_terminal(), ..Outcome::default() }
        }
    }
}
