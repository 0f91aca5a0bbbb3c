//! What a deletion does when its time has come.

use std::time::Duration;

use ocmt_crypto::{
    audit::{Actor, Outcome as AuditOutcome},
    deletion::{DeletionRecord, PURPOSE},
};
use ocmt_store::{
    ClusterAct, Filter,
    tables::{
        Container, ContainerState, DeletedTenant, Deletion, DesiredState, Notice, ObjectBody, ObjectVersion,
        Outbox, Passkey, SharedWrite, Suspension, Tenant, TenantState, User, UserState, Vault,
        VaultInboxItem, VaultObject,
    },
};

use super::{AGAIN, TIMER, tell};
use crate::{
    audit,
    effect::Effect,
    env::Scope,
    error::ActorError,
    host::{
        container::row::{CUT_OFF, LOOK, changed},
        message::What,
    },
    tenant::{alert, container::snapshot, handlers::session_row, pages::pages, recovery, transcript},
    work::{Outcome, SystemWork, Work, run_system},
};

/// Containers are waited for so long. A host that is gone erases what it has when it comes back.
const PATIENCE: Duration = Duration::from_secs(600);
/// Letters to people and to other tenants are waited for so long: a guardian's owner is to hear that the guardian is gone.
const LAST_WORDS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Rows that one transaction deletes, where there may be any number of them or they are large.
const AT_ONCE: u32 = 200;
/// The same of rows that have ciphertext of up to 68 KiB in them.
const BODIES_AT_ONCE: u32 = 64;

/// The timer of a deletion: the next step that is due.
pub(in crate::tenant) async fn fire(work: &mut Work) -> Result<(), ActorError> {
    let Some(row) = work.tx.get::<Deletion>(()).await? else { return Ok(()) };
    match (row.began_at, &row.erased) {
        (None, _) if work.now < row.erases_at => work.set_timer(TIMER, "", row.erases_at, &[]).await,
        (None, _) => begin(work, row).await,
        (Some(began), None) => {
            if !is_quiet(work, work.now.since(began)).await? {
                return work.set_timer(TIMER, "", work.now + AGAIN, &[]).await;
            }
            if is_shrunk(work).await? {
                return erase(work, row).await;
            }
            work.set_timer(TIMER, "", work.now, &[]).await
        }
        (Some(_), Some(_)) => {
            work.then(Effect::Erased);
            work.set_timer(TIMER, "", work.now + AGAIN, &[]).await
        }
    }
}

/// From here there is no way back.
async fn begin(work: &mut Work, row: Deletion) -> Result<(), ActorError> {
    let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    let facts = [("what", format!("the tenant {} and everything in it is deleted now", tenant.name))];
    if work.tx.take::<Suspension>(()).await?.is_some() {
        // what has to be delivered is due again; whatever else is held anew
        work.tx.release_timers(Duration::ZERO).await?;
    }
    let version = tenant.version + 1;
    work.tx.update(&Tenant { state: TenantState::Deleting, version, ..tenant }).await?;
    let users = work.tx.count::<User>(User::state.eq(UserState::Active)).await?;
    let vaults = work.tx.count::<Vault>(Filter::all()).await?;
    let containers = work.tx.count::<Container>(Filter::all()).await?;
    let found = Some(format!("users={users} vaults={vaults} containers={containers}"));
    work.tx.update(&Deletion { began_at: Some(work.now), found, ..row }).await?;
    work.then(Effect::AllSessionsEnded);
    remove_containers(work).await?;
    recovery::end_all(work).await?;
    alert::silence(work).await?;
    tell(work, "tenant.deleted", &facts).await?;
    note(work, "tenant.deletion_began", Vec::new()).await?;
    work.set_timer(TIMER, "", work.now + AGAIN, &[]).await
}

/// Wanted gone in this transaction, whatever held it, and looked at until it is.
async fn remove_containers(work: &mut Work) -> Result<(), ActorError> {
    pages!(work, Container, container_id, page => {
        for row in page {
            let row = changed(work, row, |row| {
                row.desired = DesiredState::Absent;
                if row.observed == ContainerState::Held {
                    row.observed = ContainerState::Stopped;
                }
                Ok(())
            })
            .await?;
            work.set_timer(LOOK, &row.container_id.to_string(), work.now + CUT_OFF, &[]).await?;
            work.then(Effect::Container((&row).into(), Box::new(What::Doubt)));
        }
    });
    Ok(())
}

/// Whether nothing of the tenant is anywhere else, or on its way, or it was waited for long enough.
async fn is_quiet(work: &mut Work, waited: Duration) -> Result<bool, ActorError> {
    let unsent = || Notice::handed_over_at.eq(None);
    let given_up = unsent().and(Notice::next_attempt_at.eq(None));
    let told = work.tx.count::<Outbox>(Filter::all()).await? == 0
        && work.tx.count::<Notice>(unsent()).await? == work.tx.count::<Notice>(given_up).await?;
    // what no row knows nobody would delete
    let no_objects = !snapshot::drop_some(work).await?;
    if !no_objects && waited >= LAST_WORDS {
        let tenant = work.ownership.tenant;
        tracing::warn!(%tenant, "snapshots of a deleted tenant are left in the object store, which does not delete them");
    }
    let no_objects = no_objects || waited >= LAST_WORDS;
    Ok((told || waited >= LAST_WORDS)
        && no_objects
        && (waited >= PATIENCE || work.tx.count::<Container>(Filter::all()).await? == 0))
}

/// Deletes a part of what there may be much of, with what the cluster's directories say of it; whether no such rows are
/// left. A transaction that had it all would take longer than the database lets one take.
async fn is_shrunk(work: &mut Work) -> Result<bool, ActorError> {
    let heads = work.tx.find::<VaultObject>(Filter::all().limit(AT_ONCE)).await?;
    for head in &heads {
        work.tx.delete::<ObjectBody>((head.vault_id, head.object_id)).await?;
        work.tx.delete::<VaultObject>((head.vault_id, head.object_id)).await?;
    }
    // with their bodies: a few at a time
    let versions = work.tx.find::<ObjectVersion>(Filter::all().limit(BODIES_AT_ONCE)).await?;
    for version in &versions {
        work.tx.delete::<ObjectVersion>((version.vault_id, version.object_id, version.version)).await?;
    }
    let items = work.tx.find::<VaultInboxItem>(Filter::all().limit(BODIES_AT_ONCE)).await?;
    for item in &items {
        work.tx.delete::<VaultInboxItem>((item.vault_id, item.item_id)).await?;
    }
    let sent = work.tx.find::<SharedWrite>(Filter::all().limit(BODIES_AT_ONCE)).await?;
    for write in &sent {
        work.tx.delete::<SharedWrite>(write.write_id).await?;
    }
    let passkeys = work.tx.find::<Passkey>(Filter::all().limit(AT_ONCE)).await?;
    for passkey in &passkeys {
        work.tx.unlist_passkey(passkey.credential_hash).await?;
        work.tx.delete::<Passkey>(passkey.passkey_id).await?;
    }
    let users = work.tx.find::<User>(Filter::all().limit(AT_ONCE)).await?;
    for user in &users {
        work.tx.unlist_address(&user.email).await?;
        work.tx.delete::<User>(user.user_id).await?;
    }
    let no_records = transcript::steps::all(work).await?;
    let no_bodies = versions.is_empty() && items.is_empty() && sent.is_empty();
    Ok(no_records && no_bodies && heads.is_empty() && passkeys.is_empty() && users.is_empty())
}

/// All rows but the last.
async fn erase(work: &mut Work, row: Deletion) -> Result<(), ActorError> {
    let mut left = 0;
    pages!(work, Container, container_id, page => {
        for container in page {
            work.tx.return_memory(container.host_node, container.memory_mib).await?;
            left += 1;
        }
    });
    work.tx.erase_rows().await?;
    let found = row.found.as_deref().unwrap_or("unknown");
    let erased = format!("{found} containers_left_to_their_hosts={left}");
    note(work, "tenant.erased", vec![("erased".to_owned(), erased.clone())]).await?;
    work.tx.update(&Deletion { erased: Some(erased), ..row }).await?;
    work.set_timer(TIMER, "", work.now + AGAIN, &[]).await?;
    work.then(Effect::Erased);
    Ok(())
}

async fn note(work: &mut Work, action: &str, details: Vec<(String, String)>) -> Result<(), ActorError> {
    let object = format!("tenant/{}", work.ownership.tenant);
    audit::note(work, action, object, AuditOutcome::Allowed, details).await
}

/// Leaves the record with the cluster, and then drops the tenant's last rows. The actor ends with it.
pub(in crate::tenant) async fn record(scope: Scope) -> Outcome {
    match recorded(&scope).await {
        Ok(()) => Outcome { terminal: true, ..Outcome::default() },
        Err(error) => {
            tracing::warn!(tenant = %scope.ownership.tenant, %error, "record of a deleted tenant could not be left yet");
            Outcome { terminal: error.is_terminal(), ..Outcome::default() }
        }
    }
}

async fn recorded(scope: &Scope) -> Result<(), ActorError> {
    let tenant = scope.ownership.tenant;
    let mut tx = scope.read().await?;
    let Some((row, erased)) =
        tx.get::<Deletion>(()).await?.and_then(|row| row.erased.clone().map(|it| (row, it)))
    else {
        return Ok(());
    };
    let head = tx.audit_head().await?.ok_or(ActorError::NotFound)?;
    drop(tx);
    let (env, now) = (&scope.env, scope.env.now());
    let statement = DeletionRecord {
        tenant,
        asked_by: row.asked_by,
        asked_at: row.asked_at,
        erased_at: now,
        erased: erased.clone(),
        audit_head: (head.seq, head.hash),
    }
    .statement()
    .into_bytes();
    let signature = env.signer.sign(PURPOSE, &statement);
    let act = ClusterAct {
        at: now,
        request: env.id(),
        actor: Actor::Node(env.node),
        action: "tenant.deleted",
        object: format!("tenant/{tenant}"),
        outcome: AuditOutcome::Allowed,
        details: vec![
            ("erased".to_owned(), erased),
            ("statement".to_owned(), audit::sha256(&statement).to_string()),
        ],
        remember: None,
    };
    let deleted = DeletedTenant {
        tenant,
        deleted_at: now,
        node_id: env.node,
        statement,
        signature: signature.0.to_vec(),
    };
    if env.store.operators().record_deletion(&deleted, &act).await? {
        tracing::info!(%tenant, "tenant was deleted");
    }
    run_system(scope, Forget).await?;
    // nobody owns what is not there: a node that drains, or dies, has one tenant less to hand on
    env.store.cluster().release(scope.ownership).await?;
    Ok(())
}

struct Forget;

impl SystemWork for Forget {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        Ok(work.tx.forget_tenant().await?)
    }
}
