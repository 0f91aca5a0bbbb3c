//! Several together: the vault's key is shared among the group's administrators, and an unlock brings enough parts to
//! one of them, for a time.
//!
//! The machine, its rows and the release key are those of a recovery ([`crate::tenant::ceremony`]); its purpose, `unlock`,
//! stands in the hash of its parameters. What differs: there is no delay, everybody is in the tenant, an approval counts
//! as long as whoever gave it administers the group, and it ends at the time that the requester chose and everybody saw.
//! Whoever had the key then may have kept it, so new ones are due.

mod cell;
mod collect;
mod deal;
mod decide;
mod ends;
mod open;
mod view;

#[cfg(test)]
mod state_tests;

use ocmt_crypto::audit::Outcome;
use ocmt_store::tables::{
    Ceremony, CeremonyPurpose, CeremonyState as Stored, GroupPart, GroupVault, GuardianSet, GuardianSetState,
    RotationDue,
};
use ocmt_types::{Digest32, GroupId, GuardianshipId, Id as _, UserId, VaultId};
use ractor::ActorRef;

pub(in crate::tenant) use self::{
    cell::{container_gone, handed, place, refuse_entry},
    deal::Dealt,
    deal::{check as check_deal, dealt, one_shared_slot},
    ends::{erase, look, member_out, rotated, take_ended},
    view::tell_dealt,
};
use super::{of, role_in};
use crate::{
    api::{group_unlocks::GroupUnlocksCall, groups::GroupRole, recovery::CeremonyState},
    audit,
    authorize::{Action, Object, Owner},
    error::ActorError,
    tenant::{
        TenantMessage, TenantState,
        ceremony::{
            ground::{self, Loaded},
            state::Event,
        },
        session_row,
    },
    work::Work,
};

/// Timer of the end of an unlock; its subject is the unlock.
pub(in crate::tenant) const TIMER: &str = "group_unlock.look";

impl TenantState {
    /// One line per method.
    pub(in crate::tenant) fn group_unlocks(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        call: GroupUnlocksCall,
    ) {
        match call {
            GroupUnlocksCall::OpenGroupUnlock(call) => self.work(myself, call),
            GroupUnlocksCall::GetGroupUnlock(call) => self.work(myself, call),
            GroupUnlocksCall::ListGroupUnlocks(call) => self.work(myself, call),
            GroupUnlocksCall::ApproveGroupUnlock(call) => self.work(myself, call),
            GroupUnlocksCall::DenyGroupUnlock(call) => self.work(myself, call),
            GroupUnlocksCall::CancelGroupUnlock(call) => self.work(myself, call),
            GroupUnlocksCall::CollectGroupUnlock(call) => self.work(myself, call),
            GroupUnlocksCall::AppointGroupCell(call) => self.work(myself, call),
            GroupUnlocksCall::DismissGroupCell(call) => self.work(myself, call),
            GroupUnlocksCall::GetGroupCell(call) => self.work(myself, call),
            GroupUnlocksCall::GetGroupCellKey(call) => self.admit(myself, call),
            GroupUnlocksCall::OpenGroupCell(call) => self.admit(myself, call),
        }
    }
}

/// The set whose parts open a vault now; none if it opens for each who takes part.
pub(in crate::tenant) async fn set_in_force(
    work: &mut Work,
    vault: VaultId,
) -> Result<Option<GuardianSet>, ActorError> {
    let sets = GuardianSet::vault_id.eq(vault).and(GuardianSet::state.eq(GuardianSetState::Active));
    Ok(work.tx.first::<GuardianSet>(sets).await?)
}

/// In a set of a group a holder is named by who they are.
pub(super) fn named(user: UserId) -> GuardianshipId {
    GuardianshipId::from_bytes(*user.as_bytes())
}

pub(super) fn holder(guardianship: GuardianshipId) -> UserId {
    UserId::from_bytes(*guardianship.as_bytes())
}

/// Whether somebody still holds what a part stands for: they take part, and administer the group.
pub(super) async fn is_present(
    work: &mut Work,
    vault: &GroupVault,
    user: UserId,
) -> Result<bool, ActorError> {
    let admin = role_in(work, vault.group_id, user).await? == Some(GroupRole::Admin);
    Ok(admin && super::is_admitted(work, vault.vault_id, user).await?)
}

/// Those of a set who are present.
pub(super) async fn present(
    work: &mut Work,
    vault: &GroupVault,
    set: &GuardianSet,
) -> Result<Vec<UserId>, ActorError> {
    let mut present = Vec::new();
    for part in work.tx.find::<GroupPart>(GroupPart::set_id.eq(set.set_id)).await? {
        if is_present(work, vault, part.user_id).await? {
            present.push(part.user_id);
        }
    }
    Ok(present)
}

/// The group's vault, if the caller takes part in it as an administrator and may do this.
async fn admin_of(work: &mut Work, action: Action, group: GroupId) -> Result<GroupVault, ActorError> {
    let who = work.user()?.user;
    let found = of(work, group).await?;
    let through = match &found {
        Some(vault) if super::is_admitted(work, vault.vault_id, who).await? => {
            role_in(work, group, who).await?
        }
        _ => None,
    };
    let object = Object { owner: Owner::Group, through, ..Object::TENANT };
    let vault = work.authorize_found(action, found, |_| object)?;
    work.object = format!("vault/{}", vault.vault_id);
    Ok(vault)
}

/// An unlock of this vault, with what counts of it now.
async fn load(work: &mut Work, vault: &GroupVault, ceremony: Digest32) -> Result<Option<Loaded>, ActorError> {
    let row = work.tx.get::<Ceremony>(ceremony).await?;
    let ours = |row: &Ceremony| row.purpose == CeremonyPurpose::Unlock && row.vault_id == vault.vault_id;
    let Some(row) = row.filter(ours) else { return Ok(None) };
    let mut loaded = ground::load_row(work, row).await?;
    let here = present(work, vault, &loaded.set_row).await?;
    loaded.progress.total = u32::try_from(here.len()).unwrap_or(0);
    Ok(Some(loaded))
}

/// The unlocks of a vault that are not over.
async fn live_of(work: &mut Work, vault: &GroupVault) -> Result<Vec<Loaded>, ActorError> {
    let mut live = Vec::new();
    for state in Stored::LIVE {
        let of_vault = Ceremony::vault_id.eq(vault.vault_id).and(Ceremony::state.eq(state));
        for row in work.tx.find::<Ceremony>(of_vault).await? {
            live.extend(load(work, vault, row.ceremony_id).await?);
        }
    }
    Ok(live)
}

/// One step, written down, with all that follows from it.
async fn advance(
    work: &mut Work,
    vault: &GroupVault,
    loaded: &mut Loaded,
    event: Event,
) -> Result<Vec<CeremonyState>, ActorError> {
    let entered = ground::moved(work, loaded, event).await.map_err(in_words)?;
    let subject = loaded.row.ceremony_id.to_string();
    match loaded.progress.next_look() {
        Some(at) => work.set_timer(TIMER, &subject, at, &[]).await?,
        None => drop(work.tx.clear_timer(TIMER, &subject).await?),
    }
    let over = entered.iter().any(|stage| !stage.is_live());
    let into_cell = over && cell::ended(work, loaded).await?;
    let was_open = over && loaded.row.released_at.is_some();
    if was_open && !into_cell && loaded.progress.stage != CeremonyState::Completed {
        due(work, vault.vault_id).await?;
    }
    if was_open {
        // a watch of the vault that was begun while it was open shows nothing more either
        session_row::end_streams(work, loaded.row.user_id).await?;
    }
    view::tell(work, vault, loaded, &entered).await?;
    Ok(entered)
}

/// What the machine refuses, in the words of an unlock: nobody in one is a guardian, and it has no delay.
fn in_words(refused: ActorError) -> ActorError {
    let why = match refused.reason() {
        "CEREMONY_RELEASED" => {
            "enough have approved, and it is open: if that is wrong, `ocmt group vault deny` ends it at once"
        }
        "CEREMONY_OVER" => "this unlock is over: `ocmt group vault unlock` asks for another",
        "CEREMONY_NOT_RELEASED" => {
            "too few have approved yet: `ocmt group vault unlocks` says who has; call the others"
        }
        "ALREADY_DECIDED" => "you have approved or denied this unlock already",
        _ => return refused,
    };
    ActorError::precondition(refused.reason().to_owned(), why)
}

/// Where an unlock came to without a call about it, for the audit.
async fn noted(
    work: &mut Work,
    loaded: &Loaded,
    entered: impl IntoIterator<Item = CeremonyState>,
) -> Result<(), ActorError> {
    for stage in entered {
        let details = vec![("state".to_owned(), format!("{stage:?}").to_uppercase())];
        let object = format!("ceremony/{}", loaded.row.ceremony_id);
        audit::note(work, "group_unlock.moved", object, Outcome::Allowed, details).await?;
    }
    Ok(())
}

/// Somebody had the key, and the time for which they were to have it is over.
async fn due(work: &mut Work, vault: VaultId) -> Result<(), ActorError> {
    let row = work.tx.get::<GroupVault>(vault).await?.ok_or(ActorError::NotFound)?;
    let due = row.due.or(Some(RotationDue::Unlocked));
    let due_since = row.due_since.or(Some(work.now));
    work.tx.update(&GroupVault { due, due_since, ..row }).await?;
    Ok(())
}

/// Whether this session has the vault open by an unlock: its parts were released to it, and the time is not over.
pub(super) async fn is_open_to_caller(work: &mut Work, vault: VaultId) -> Result<bool, ActorError> {
    let Some(who) = work.standing.caller.user() else { return Ok(false) };
    // what is open in a cell is open to no session, and work without one has this
    if who.session == cell::no_session() {
        return Ok(false);
    }
    let released = Ceremony::vault_id
        .eq(vault)
        .and(Ceremony::state.eq(Stored::Released))
        .and(Ceremony::opened_by.eq(who.session))
        .and(Ceremony::expires_at.gt(work.now));
    Ok(work.tx.first::<Ceremony>(released).await?.is_some())
}
