//! Snapshots: what a tenant decides about them. The host's actor of the container does the work, and writes how it went
//! ([`ends`]).
//!
//! A row says from the first what is under way, and a timer stands behind it: whoever was to do it may be cut off, and
//! then what was half taken is deleted, and what was to be restored is as it was. Objects are deleted before their
//! rows are, so that none is left that no row knows.

pub(crate) mod ends;
pub(crate) mod scheduled;

use ocmt_crypto::{envelope, kind::Kind, object::WRAPPED_KEY_LEN, snapshot::MAX_PAYLOAD};
use ocmt_store::tables::{Container, Snapshot, SnapshotState};
use ocmt_types::{SnapshotId, UserId};
use ractor::ActorRef;

use super::{About, Admission, load, load_free, unlock::asked};
use crate::{
    api::{
        container::CellKeyStated,
        snapshot::{
            ArchiveErrand, BySchedule, CreateSnapshot, DeleteSnapshot, GetSnapshotCellKey, ListSnapshots,
            RestoreSnapshot, SnapshotDone, SnapshotInfo, SnapshotPage, SnapshotsCall,
        },
        users::Done,
    },
    authorize::{Action, Object},
    call::{Repeat, Reply},
    effect::Effect,
    env::Env,
    error::ActorError,
    host::{
        container::row::spec_of,
        message::{ArchiveOrder, At, What},
    },
    ports::Snapshots,
    tenant::{TenantMessage, TenantState, quota},
    work::{Handle, Work},
};

/// Timer of a snapshot that is not at rest; its subject is the snapshot.
pub(in crate::tenant) const TIMER: &str = "container.snapshot";
/// What is under way for longer was cut off: a cell has less.
const CUT_OFF: std::time::Duration = std::time::Duration::from_secs(15 * 60);
/// Whoever asked for one that was not taken reads why for so long.
const TOLD: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// An object that could not be deleted is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(10 * 60);
/// Of one user, beside those that are there: failed ones, and what waits to be deleted.
const MORE: i64 = 20;
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 100;
/// Objects that are deleted at once when a tenant goes.
const AT_ONCE: u32 = 8;

impl TenantState {
    /// One line per method.
    pub(in crate::tenant) fn snapshots(&mut self, myself: &ActorRef<TenantMessage>, call: SnapshotsCall) {
        match call {
            SnapshotsCall::GetSnapshotCellKey(call) => self.admit(myself, call),
            SnapshotsCall::CreateSnapshot(call) => self.admit(myself, call),
            SnapshotsCall::RestoreSnapshot(call) => self.admit(myself, call),
            SnapshotsCall::ListSnapshots(call) => self.work(myself, call),
            SnapshotsCall::DeleteSnapshot(call) => self.work(myself, call),
            SnapshotsCall::PutSnapshotSchedule(call) => self.work(myself, call),
            SnapshotsCall::GetSnapshotSchedule(call) => self.work(myself, call),
            SnapshotsCall::DeleteSnapshotSchedule(call) => self.work(myself, call),
        }
    }
}

/// Where snapshots lie, if the operator has said where.
pub(crate) fn store(env: &Env) -> Result<&Snapshots, ActorError> {
    env.snapshots.as_ref().ok_or_else(|| {
        ActorError::precondition(
            "SNAPSHOTS_OFF",
            "the operator of this node keeps no snapshots (snapshots.store)",
        )
    })
}

/// A sealed volume from before is refused by its cell, as one that its host has put back would be.
fn of_plain_files(row: &Container) -> Result<(), ActorError> {
    match spec_of(row)?.sealed_volume_bytes {
        None => Ok(()),
        Some(_) => Err(ActorError::precondition(
            "SEALED_VOLUME",
            "there are no snapshots of a sealed volume: its host has it as ciphertext, and no other copy is made",
        )),
    }
}

asked!(
    GetSnapshotCellKey, (At, ArchiveErrand), CellKeyStated,
    |(at, errand), _, reply| (at, What::ArchiveKey(errand, reply)),
    self, work => {
        let row = load_free(work, Action::EnterContainer, self.container).await?;
        of_plain_files(&row)?;
        store(&work.env)?;
        if self.errand == ArchiveErrand::Scheduled {
            return Err(ActorError::invalid("errand", "is a host's own: nobody asks for such a cell"));
        }
        work.details.push(("errand".to_owned(), self.errand.as_str().to_owned()));
        Ok(((&row).into(), self.errand))
    }
);

/// What an order about a snapshot is, or how it is already.
pub(crate) enum Pass {
    Order(At, Box<ArchiveOrder>),
    /// A repeat: it was taken by the first.
    Known(At, Box<SnapshotDone>),
}

fn ordered(pass: Pass, reply: Reply<SnapshotDone>) -> (At, What) {
    match pass {
        Pass::Order(at, order) => (at, What::Archive(order, reply)),
        Pass::Known(at, done) => {
            reply.send(Ok(*done));
            (at, What::Look)
        }
    }
}

asked!(
    CreateSnapshot, Pass, SnapshotDone,
    |pass, _, reply| ordered(pass, reply),
    self, work => {
        check_payload(&self.sealed_payload)?;
        let row = load_free(work, Action::EnterContainer, self.container).await?;
        of_plain_files(&row)?;
        store(&work.env)?;
        let wrapped = envelope::parse(&self.wrapped_key).is_ok_and(|head| head.kind == Kind::WRAPPED_KEY);
        if !wrapped || self.wrapped_key.len() != WRAPPED_KEY_LEN {
            return Err(ActorError::invalid("wrapped_key", "is no wrapped key"));
        }
        work.details.push(("snapshot".to_owned(), self.snapshot.to_string()));
        if let Some(known) = work.tx.get::<Snapshot>(self.snapshot).await? {
            let same = known.user_id == row.user_id
                && known.wrapped_key == self.wrapped_key
                && known.state == SnapshotState::Taken;
            if !same {
                return Err(ActorError::AlreadyExists("a snapshot of this id"));
            }
            let generation = u64::try_from(row.generation).unwrap_or(0);
            return Ok(Pass::Known((&row).into(), Box::new(SnapshotDone { snapshot: info(known), generation })));
        }
        room_for_one_more(work, row.user_id, 0).await?;
        quota::is_not_used_up(work).await?;
        let fresh = Snapshot {
            tenant_id: work.ownership.tenant,
            snapshot_id: self.snapshot,
            user_id: row.user_id,
            container_id: row.container_id,
            generation: row.generation,
            state: SnapshotState::Taking,
            wrapped_key: self.wrapped_key,
            size_bytes: 0,
            content_hash: None,
            verified: false,
            opened_by: None,
            failure: None,
            created_at: work.now,
            schedule: None,
            sealed_key: None,
            statement: None,
            chain: None,
            opened: false,
        };
        work.tx.insert(&fresh).await?;
        let order = ArchiveOrder {
            errand: ArchiveErrand::Take,
            snapshot: self.snapshot,
            sealed_payload: self.sealed_payload,
            cell_key: self.cell_key.0,
        };
        set(work, self.snapshot, CUT_OFF).await?;
        Ok(Pass::Order((&row).into(), Box::new(order)))
    }
);

asked!(
    RestoreSnapshot, Pass, SnapshotDone,
    |pass, _, reply| ordered(pass, reply),
    self, work => {
        check_payload(&self.sealed_payload)?;
        let row = load_free(work, Action::EnterContainer, self.container).await?;
        of_plain_files(&row)?;
        store(&work.env)?;
        let known = work.tx.get::<Snapshot>(self.snapshot).await?;
        // of the container's user and of nobody else: another's is not there
        let known = known.filter(|known| known.user_id == row.user_id).ok_or(ActorError::NotFound)?;
        if !self.verify_only {
            // the volume that is there is gone then: that asks what a removal asks
            work.authorize(Action::RemoveContainer, &Object::of(row.user_id))?;
        }
        if known.opened_by == Some(self.cell_key) && known.state == SnapshotState::Taken {
            let generation = u64::try_from(row.generation).unwrap_or(0);
            return Ok(Pass::Known((&row).into(), Box::new(SnapshotDone { snapshot: info(known), generation })));
        }
        match known.state {
            SnapshotState::Taken => {}
            SnapshotState::Ending => return Err(ActorError::NotFound),
            SnapshotState::Taking
            | SnapshotState::Restoring
            | SnapshotState::Placing
            | SnapshotState::Verifying
            | SnapshotState::Failed => {
                let why = format!("the snapshot is {}: nothing is done with it now", known.state);
                return Err(ActorError::precondition("SNAPSHOT_BUSY", why));
            }
        }
        let (errand, state) = if self.verify_only {
            (ArchiveErrand::Verify, SnapshotState::Verifying)
        } else {
            (ArchiveErrand::Restore, SnapshotState::Restoring)
        };
        work.tx.update(&Snapshot { state, failure: None, ..known }).await?;
        set(work, self.snapshot, CUT_OFF).await?;
        work.details.push(("snapshot".to_owned(), self.snapshot.to_string()));
        work.details.push(("errand".to_owned(), errand.as_str().to_owned()));
        let (snapshot, sealed_payload, cell_key) = (self.snapshot, self.sealed_payload, self.cell_key.0);
        let order = ArchiveOrder { errand, snapshot, sealed_payload, cell_key };
        Ok(Pass::Order((&row).into(), Box::new(order)))
    }
);

impl Handle for ListSnapshots {
    async fn handle(self, work: &mut Work) -> Result<SnapshotPage, ActorError> {
        let row = load(work, Action::EnterContainer, self.container).await?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LARGEST_PAGE) };
        let of = Snapshot::user_id.eq(row.user_id);
        let rows = match self.after {
            Some(after) => work.tx.find::<Snapshot>(of.after(&after).limit(limit)).await?,
            None => work.tx.find::<Snapshot>(of.limit(limit)).await?,
        };
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| row.snapshot_id);
        let there = rows.into_iter().filter(|row| row.state != SnapshotState::Ending);
        Ok(SnapshotPage { snapshots: there.map(info).collect(), next })
    }
}

impl Handle for DeleteSnapshot {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let found = work.tx.get::<Snapshot>(self.snapshot).await?;
        let found = found.filter(|row| row.state != SnapshotState::Ending);
        let row = work.authorize_found(Action::RemoveContainer, found, |row| Object::of(row.user_id))?;
        work.object = format!("snapshot/{}", row.snapshot_id);
        if ends::is_under_way(row.state) {
            let why = format!("the snapshot is {}: wait for its end", row.state);
            return Err(ActorError::precondition("SNAPSHOT_BUSY", why));
        }
        end(work, row).await?;
        Ok(Done)
    }
}

fn check_payload(sealed: &[u8]) -> Result<(), ActorError> {
    if sealed.len() <= MAX_PAYLOAD {
        return Ok(());
    }
    Err(ActorError::invalid("sealed_payload", "is longer than 1024 bytes"))
}

/// None goes for another one: whoever may take snapshots, without the vault or a second look, deletes none by that. Beside
/// so many, which a schedule does not count.
async fn room_for_one_more(work: &mut Work, user: UserId, beside: i64) -> Result<(), ActorError> {
    let most = i64::from(store(&work.env)?.per_user);
    let of = || Snapshot::user_id.eq(user);
    let failed = work.tx.count::<Snapshot>(of().and(Snapshot::state.eq(SnapshotState::Failed))).await?;
    let ending = work.tx.count::<Snapshot>(of().and(Snapshot::state.eq(SnapshotState::Ending))).await?;
    let all = work.tx.count::<Snapshot>(of()).await?;
    if all - failed - ending - beside < most && failed + ending < MORE {
        return Ok(());
    }
    let why = format!("a user has at most {most} snapshots: delete one, or wait if many have failed");
    Err(ActorError::exhausted("TOO_MANY_SNAPSHOTS", why))
}

pub(super) fn info(row: Snapshot) -> SnapshotInfo {
    SnapshotInfo {
        id: row.snapshot_id,
        container: row.container_id,
        generation: u64::try_from(row.generation).unwrap_or(0),
        state: row.state,
        wrapped_key: row.wrapped_key,
        size_bytes: u64::try_from(row.size_bytes).unwrap_or(0),
        content_hash: row.content_hash.map(|hash| hash.0),
        verified: row.verified,
        failure: row.failure,
        created_at: row.created_at,
        opened: row.opened,
        by_schedule: row.sealed_key.zip(row.statement).map(|(sealed_key, statement)| BySchedule {
            sealed_key,
            statement,
            chain: scheduled::split(row.chain.as_deref().unwrap_or_default()),
        }),
    }
}

async fn set(work: &mut Work, snapshot: SnapshotId, after: std::time::Duration) -> Result<(), ActorError> {
    work.set_timer(TIMER, &snapshot.to_string(), work.now + after, &[]).await
}

/// It goes: the object by the timer, and then the row. What it took of the quota is free at once.
async fn end(work: &mut Work, row: Snapshot) -> Result<(), ActorError> {
    if row.size_bytes > 0 {
        quota::count_bytes(work, -row.size_bytes).await?;
    }
    let id = row.snapshot_id;
    work.tx.update(&Snapshot { state: SnapshotState::Ending, size_bytes: 0, ..row }).await?;
    set(work, id, std::time::Duration::ZERO).await
}

/// The timer of a snapshot: what was cut off is said to be, and what is to go goes.
pub(in crate::tenant) async fn fire(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Ok(id) = subject.parse::<SnapshotId>() else { return Ok(()) };
    let Some(row) = work.tx.get::<Snapshot>(id).await? else { return Ok(()) };
    match row.state {
        SnapshotState::Taken => Ok(()),
        under_way if ends::is_under_way(under_way) => {
            ends::came_to_nothing(work, row, "it was cut off").await.map(drop)
        }
        _ => {
            work.then(Effect::DropSnapshot(id));
            set(work, id, AGAIN).await
        }
    }
}

/// A person goes, and their snapshots.
pub(in crate::tenant) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    scheduled::forget_user(work, user).await?;
    for row in work.tx.find::<Snapshot>(Snapshot::user_id.eq(user)).await? {
        end(work, row).await?;
    }
    Ok(())
}

/// Has objects deleted of a tenant that goes; whether there are any left.
pub(in crate::tenant) async fn drop_some(work: &mut Work) -> Result<bool, ActorError> {
    let rows = work.tx.find::<Snapshot>(ocmt_store::Filter::all().limit(AT_ONCE)).await?;
    for row in &rows {
        work.then(Effect::DropSnapshot(row.snapshot_id));
    }
    Ok(!rows.is_empty())
}
