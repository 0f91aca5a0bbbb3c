//! Snapshots by schedule: what a tenant keeps of it, and which of them it deletes.
//!
//! A schedule is signed by its user and names the key that snapshots are sealed to. That it is signed the owner looks at, so
//! that a mistake is told at once; what decides is the host, which keeps whose signature it took. When one is due is in
//! [`due`].

mod due;

use std::{cmp::Reverse, time::Duration};

use ocmt_crypto::{
    sign::VerifyKey,
    snapshot_schedule::{MAX_SCHEDULE, Schedule as Signed},
};
use ocmt_store::{
    Filter,
    tables::{Container, Snapshot, SnapshotSchedule, SnapshotState, User, Vault},
};
use ocmt_types::{ContainerId, Digest32, SnapshotId, UserId};

pub(in crate::tenant) use self::due::{AGAIN, DUE, again, fire};
pub(crate) use self::due::{Claim, Claimed, is_due};
pub(super) use self::due::{came_to_nothing, refused_by_host};
use super::super::{load, load_free, schedule::times::Times};
use crate::{
    api::{
        snapshot::{
            DeleteSnapshotSchedule, GetSnapshotSchedule, PutSnapshotSchedule, SnapshotScheduleFound,
            SnapshotScheduleInfo,
        },
        users::Done,
    },
    authorize::{Action, Object},
    error::ActorError,
    tenant::handlers::identity_of,
    work::{Handle, Work},
};

const PAGE: u32 = 100;
/// Of what a user may have, these are left for those they ask for. What a schedule has past its number takes none of them:
/// the one that was opened, and the oldest until the newer one is there.
const LEFT: u32 = 2;
/// The number of a schedule is the time of the device that signs it: a clock may be ahead by so much.
const LONGEST_AHEAD: Duration = Duration::from_secs(24 * 3600);
const OTHER_KEYS: &str = "the vault has other keys since: put the schedule anew";

impl Handle for PutSnapshotSchedule {
    async fn handle(self, work: &mut Work) -> Result<SnapshotScheduleInfo, ActorError> {
        let container = load_free(work, Action::EnterContainer, self.container).await?;
        super::of_plain_files(&container)?;
        let (signed, signer) = self.verified(work, &container).await?;
        let before = work.tx.get::<SnapshotSchedule>(self.container).await?;
        let number =
            i64::try_from(signed.number).map_err(|_| ActorError::invalid("signed", "is no schedule"))?;
        let follows = before.as_ref().is_some_and(|before| number == before.number.saturating_add(1));
        if !follows && number > (work.now + LONGEST_AHEAD).millis() {
            // once its host has seen it, none that is dated right is taken any more
            let why = "the schedule is dated more than a day ahead: set the clock of the device that signs it, and put it anew";
            return Err(ActorError::precondition("CLOCK_AHEAD", why));
        }
        if let Some(before) = &before {
            if number <= before.number {
                let why = "a later schedule is there already: read it, and put yours anew";
                return Err(ActorError::precondition("VERSION_CHANGED", why));
            }
            if verified(before).is_none_or(|before| signed.keep < before.keep) {
                // some of those that are there go then: that asks what their deletion asks
                work.authorize(Action::RemoveContainer, &Object::of(container.user_id))?;
            }
        }
        let times = Times::parse(&signed.cron, &signed.time_zone)?;
        times.check(work.now)?;
        let last_at = before.as_ref().and_then(|row| row.last_at).filter(|last| *last <= work.now);
        let row = SnapshotSchedule {
            tenant_id: work.ownership.tenant,
            container_id: self.container,
            user_id: container.user_id,
            signed: self.signed,
            signer,
            number,
            vault_epoch: epoch(self.vault_epoch)?,
            next_at: times.next(work.now, last_at),
            last_at,
            due_at: None,
            snapshot_id: before.as_ref().and_then(|row| row.snapshot_id),
            tries: 0,
            rests: None,
            failure: None,
            created_at: work.now,
        };
        if before.is_some() {
            work.tx.update(&row).await?;
        } else {
            work.tx.insert(&row).await?;
        }
        due::set(work, &row).await?;
        work.details = vec![
            ("cron".to_owned(), signed.cron),
            ("time_zone".to_owned(), signed.time_zone),
            ("keep".to_owned(), signed.keep.to_string()),
            ("number".to_owned(), number.to_string()),
        ];
        Ok(info(row, None))
    }
}

impl PutSnapshotSchedule {
    /// What was signed, if it is by the container's own user, for this container, and for the keys that their vault has.
    async fn verified(
        &self,
        work: &mut Work,
        container: &Container,
    ) -> Result<(Signed, Digest32), ActorError> {
        let per_user = super::store(&work.env)?.per_user;
        let user = work.tx.get::<User>(container.user_id).await?;
        let signer = user.as_ref().and_then(identity_of).map(|key| key.verify_key).ok_or_else(|| {
            ActorError::precondition(
                "NO_IDENTITY_KEY",
                "publish your identity key first: open your vault once",
            )
        })?;
        let none =
            || ActorError::invalid("signed", "is no schedule that this user signed for this container");
        if self.signed.len() > MAX_SCHEDULE {
            return Err(none());
        }
        let signed = Signed::verify(&self.signed, &VerifyKey(signer)).map_err(|_| none())?;
        let about = (signed.tenant, signed.user, signed.container);
        if about != (work.ownership.tenant, container.user_id, container.container_id) {
            return Err(none());
        }
        let most = per_user.saturating_sub(LEFT);
        if u32::from(signed.keep) > most {
            let why = format!("is more than {most}, which is {LEFT} less than a user may have");
            return Err(ActorError::invalid("keep", why));
        }
        if vault_epoch(work, container.user_id).await? != Some(epoch(self.vault_epoch)?) {
            let why = "the vault has other keys by now: read it again";
            return Err(ActorError::precondition("VERSION_CHANGED", why));
        }
        Ok((signed, Digest32(signer)))
    }
}

impl Handle for GetSnapshotSchedule {
    async fn handle(self, work: &mut Work) -> Result<SnapshotScheduleFound, ActorError> {
        let container = load(work, Action::EnterContainer, self.container).await?;
        let Some(row) = work.tx.get::<SnapshotSchedule>(self.container).await? else {
            // clients ask this before they open a vault for a snapshot
            super::store(&work.env)?;
            return Ok(SnapshotScheduleFound { schedule: None });
        };
        let epoch = vault_epoch(work, container.user_id).await?;
        let other_keys = (epoch != Some(row.vault_epoch)).then_some(OTHER_KEYS);
        Ok(SnapshotScheduleFound { schedule: Some(info(row, other_keys)) })
    }
}

impl Handle for DeleteSnapshotSchedule {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        load(work, Action::RemoveContainer, self.container).await?;
        forget(work, self.container).await?;
        Ok(Done)
    }
}

fn epoch(said: u64) -> Result<i64, ActorError> {
    i64::try_from(said).map_err(|_| ActorError::invalid("vault_epoch", "is no key epoch"))
}

/// The key epoch of a user's vault; none if they have none.
async fn vault_epoch(work: &mut Work, user: UserId) -> Result<Option<i64>, ActorError> {
    let vault = work.tx.first::<Vault>(Vault::owner_user.eq(Some(user))).await?;
    Ok(vault.map(|vault| vault.key_epoch))
}

/// What is stored, under the key that it was put under.
fn verified(row: &SnapshotSchedule) -> Option<Signed> {
    let signed = Signed::verify(&row.signed, &VerifyKey(row.signer.0));
    if signed.is_err() {
        tracing::error!(container = %row.container_id, "a stored schedule of snapshots cannot be read");
    }
    signed.ok()
}

fn info(row: SnapshotSchedule, other_keys: Option<&str>) -> SnapshotScheduleInfo {
    SnapshotScheduleInfo {
        signed: row.signed,
        next_at: row.next_at,
        due_at: row.due_at,
        rests: row.rests.or(other_keys.map(str::to_owned)),
        failure: row.failure,
        created_at: row.created_at,
    }
}

/// The schedule that had this snapshot begun, if it waits for it.
async fn of(work: &mut Work, snapshot: &Snapshot) -> Result<Option<SnapshotSchedule>, ActorError> {
    let row = work.tx.get::<SnapshotSchedule>(snapshot.container_id).await?;
    Ok(row.filter(|row| row.snapshot_id == Some(snapshot.snapshot_id)))
}

/// It is there, and was read back: nothing is due any more, and what is past the number that was signed goes. Never what
/// somebody asked for, and never the newest that a client had opened: what was taken since may be worth nothing.
pub(super) async fn taken(work: &mut Work, snapshot: &Snapshot) -> Result<(), ActorError> {
    let Some(row) = of(work, snapshot).await? else { return Ok(()) };
    let row = SnapshotSchedule { due_at: None, snapshot_id: None, tries: 0, failure: None, ..row };
    work.tx.update(&row).await?;
    due::set(work, &row).await?;
    let Some(signed) = verified(&row) else { return Ok(()) };
    let made = made(work, &row, Some(snapshot.snapshot_id)).await?;
    let opened = made.iter().find(|one| one.opened).map(|one| one.snapshot_id);
    for old in made.into_iter().skip(usize::from(signed.keep)) {
        if Some(old.snapshot_id) != opened {
            super::end(work, old).await?;
        }
    }
    Ok(())
}

/// What was taken by it and is there, the newest first; `newest` is the one that is written now, whatever a clock said
/// before.
async fn made(
    work: &mut Work,
    row: &SnapshotSchedule,
    newest: Option<SnapshotId>,
) -> Result<Vec<Snapshot>, ActorError> {
    let mut all = work.tx.find::<Snapshot>(Snapshot::user_id.eq(row.user_id)).await?;
    all.retain(|one| {
        one.container_id == row.container_id && one.schedule.is_some() && one.state == SnapshotState::Taken
    });
    all.sort_by_key(|one| Reverse((Some(one.snapshot_id) == newest, one.created_at, one.snapshot_id)));
    Ok(all)
}

/// A container goes, and its schedule; what was taken stays its user's.
pub(in crate::tenant::container) async fn forget(
    work: &mut Work,
    container: ContainerId,
) -> Result<(), ActorError> {
    work.tx.delete::<SnapshotSchedule>(container).await?;
    due::clear(work, container).await
}

/// A person goes.
pub(super) async fn forget_user(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    for row in work.tx.find::<SnapshotSchedule>(SnapshotSchedule::user_id.eq(user)).await? {
        forget(work, row.container_id).await?;
    }
    Ok(())
}

/// The tenant works again: timers were put off meanwhile, and times of schedules are not.
pub(in crate::tenant) async fn resume(work: &mut Work) -> Result<(), ActorError> {
    let mut after = None;
    loop {
        let all = Filter::<SnapshotSchedule>::all();
        let rows = match after {
            Some(after) => work.tx.find::<SnapshotSchedule>(all.after(&after).limit(PAGE)).await?,
            None => work.tx.find::<SnapshotSchedule>(all.limit(PAGE)).await?,
        };
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.container_id);
        for row in rows {
            due::set(work, &row).await?;
        }
    }
}

/// Certificates, each behind its length.
pub(super) fn join(chain: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for certificate in chain {
        out.extend_from_slice(&u32::try_from(certificate.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(certificate);
    }
    out
}

/// What [`join`] joined; what is cut off is left out.
pub(super) fn split(mut joined: &[u8]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = joined.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((certificate, rest)) = rest.split_at_checked(length) else { break };
        chain.push(certificate.to_vec());
        joined = rest;
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_apart_as_they_were_joined() {
        let chain = vec![vec![1; 3], Vec::new(), vec![2; 300]];
        let joined = join(&chain);
        assert_eq!(split(&joined), chain);
        assert_eq!(split(&joined[..joined.len() - 1]), chain[..2]);
        assert!(split(&[]).is_empty() && split(&[0, 0, 0]).is_empty());
    }
}
