//! Unlocks as the group's administrators see them, and word of what happens in one.

use ocmt_crypto::ceremony::Purpose;
use ocmt_store::tables::{
    Approval, Ceremony, CeremonyPurpose, Group, GroupPart, GroupVault, GuardianSet, User, UserState, Verdict,
};
use ocmt_types::{ContainerId, UserId};

use super::{Dealt, admin_of, cell, decide::found, holder, load, present, set_in_force};
use crate::{
    api::{
        group_unlocks::{GetGroupUnlock, ListGroupUnlocks, UnlockAct, UnlockDetail, UnlockList, UnlockView},
        recovery::{CeremonyState, NodeStatement},
    },
    authorize::Action,
    error::ActorError,
    tenant::{
        ceremony::ground::{self, Loaded},
        handlers::notices::{self, NoticeText},
    },
    work::{Handle, Work},
};

/// Unlocks of a page, at the most.
const MOST: usize = 100;

impl Handle for GetGroupUnlock {
    async fn handle(self, work: &mut Work) -> Result<UnlockDetail, ActorError> {
        let vault = admin_of(work, Action::SeeToUnlock, self.group).await?;
        let loaded = found(work, &vault, self.ceremony).await?;
        let who = work.user()?.user;
        let part = work.tx.get::<GroupPart>((loaded.set_row.set_id, who)).await?;
        Ok(UnlockDetail {
            unlock: of(work, &loaded).await?,
            signed_set: loaded.set_row.body,
            sealed_part: part.map(|part| part.sealed).unwrap_or_default(),
            cell: cell::evidence(work, self.ceremony).await?,
        })
    }
}

impl Handle for ListGroupUnlocks {
    async fn handle(self, work: &mut Work) -> Result<UnlockList, ActorError> {
        let vault = admin_of(work, Action::SeeToUnlock, self.group).await?;
        let of_vault =
            Ceremony::vault_id.eq(vault.vault_id).and(Ceremony::purpose.eq(CeremonyPurpose::Unlock));
        let mut rows = work.tx.find::<Ceremony>(of_vault.desc(Ceremony::opened_at)).await?;
        rows.sort_by_key(|row| (std::cmp::Reverse(row.opened_at), row.ceremony_id));
        if let Some(after) = self.after {
            let behind = rows.iter().position(|row| row.ceremony_id == after).map_or(rows.len(), |at| at + 1);
            rows.drain(..behind);
        }
        let limit = usize::try_from(self.limit).unwrap_or(MOST).clamp(1, MOST);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.ceremony_id);
        let mut unlocks = Vec::new();
        for row in rows {
            // who is there is counted where it decides about something
            let loaded = if CeremonyState::from(row.state).is_live() {
                load(work, &vault, row.ceremony_id).await?
            } else {
                Some(ground::load_row(work, row).await?)
            };
            if let Some(loaded) = loaded {
                unlocks.push(of(work, &loaded).await?);
            }
        }
        let set = set_in_force(work, vault.vault_id).await?;
        Ok(UnlockList { unlocks, signed_set: set.map(|set| set.body).unwrap_or_default(), next })
    }
}

/// An unlock with what was said in it.
pub(super) async fn of(work: &mut Work, loaded: &Loaded) -> Result<UnlockView, ActorError> {
    let Loaded { row, params, progress, .. } = loaded;
    let email = email(work, row.user_id).await?;
    let mut said = work.tx.find::<Approval>(Approval::ceremony_id.eq(row.ceremony_id)).await?;
    said.sort_by_key(|said| (said.received_at, said.guardianship_id));
    let mut acts = Vec::with_capacity(said.len());
    for said in said {
        let user = holder(said.guardianship_id);
        let email = self::email(work, user).await?;
        acts.push(UnlockAct { email, approved: said.verdict == Verdict::Approve, at: said.received_at });
    }
    let cell = cell::of(work, row.ceremony_id).await?;
    let statement = NodeStatement {
        statement: row.statement.clone(),
        certificate_chain: serde_json::from_slice(&row.certificates).map_err(|_| ground::damaged())?,
    };
    Ok(UnlockView {
        id: row.ceremony_id.0,
        params: params.encode(),
        state: row.state.into(),
        requester: row.user_id,
        requester_email: email,
        opened_at: row.opened_at,
        released_at: row.released_at,
        expires_at: row.expires_at,
        needed: progress.needed,
        approved: progress.approved_units(),
        acts,
        release_statement: row.release_private_wrapped.is_some().then_some(statement),
        into_cell: params.purpose == Purpose::Cell,
        handed_at: cell.and_then(|cell| cell.handed_at),
    })
}

async fn email(work: &mut Work, user: UserId) -> Result<String, ActorError> {
    Ok(work.tx.get::<User>(user).await?.map(|user| user.email).unwrap_or_default())
}

/// Everybody who holds a part hears that they are asked.
pub(super) async fn announce(work: &mut Work, vault: &GroupVault, loaded: &Loaded) -> Result<(), ActorError> {
    let cell = loaded.params.purpose == Purpose::Cell;
    let kind = if cell { "group_vault.cell_asked" } else { "group_vault.unlock_asked" };
    write(work, vault, loaded, kind).await
}

/// And what came of it.
pub(super) async fn tell(
    work: &mut Work,
    vault: &GroupVault,
    loaded: &Loaded,
    entered: &[CeremonyState],
) -> Result<(), ActorError> {
    let cell = loaded.params.purpose == Purpose::Cell;
    let kind = match entered.last() {
        Some(CeremonyState::Released) if cell => "group_vault.cell_released",
        Some(CeremonyState::Released) => "group_vault.unlock_released",
        // the letter about the new keys says it
        Some(CeremonyState::Completed) => return Ok(()),
        Some(CeremonyState::Denied) => "group_vault.unlock_denied",
        Some(stage) if !stage.is_live() && cell => "group_vault.cell_ended",
        Some(stage) if !stage.is_live() => "group_vault.unlock_ended",
        _ => return Ok(()),
    };
    write(work, vault, loaded, kind).await
}

/// Everybody who took part until now hears that the key was shared anew, among how many, and who did it.
pub(in crate::tenant) async fn tell_dealt(
    work: &mut Work,
    vault: &GroupVault,
    dealt: &Dealt,
    to: &[UserId],
) -> Result<(), ActorError> {
    let by = work.user()?.user;
    let group = work.tx.get::<Group>(vault.group_id).await?;
    let facts = [
        ("group", group.map(|group| group.name).unwrap_or_default()),
        ("group_id", vault.group_id.to_string()),
        ("shared_by", email(work, by).await?),
        ("opens_with", dealt.counts()),
    ];
    send(work, "group_vault.key_shared", &vault.vault_id.to_string(), facts.into(), to).await
}

/// Everybody who holds a part hears which container may have what from now on, or that it may no more.
pub(super) async fn tell_of_cell(
    work: &mut Work,
    vault: &GroupVault,
    set: &GuardianSet,
    kind: &str,
    container: ContainerId,
) -> Result<(), ActorError> {
    let by = work.user()?.user;
    let group = work.tx.get::<Group>(vault.group_id).await?;
    let facts = [
        ("group", group.map(|group| group.name).unwrap_or_default()),
        ("group_id", vault.group_id.to_string()),
        ("container", container.to_string()),
        ("by", email(work, by).await?),
    ];
    let to = present(work, vault, set).await?;
    send(work, kind, &vault.vault_id.to_string(), facts.into(), &to).await
}

async fn write(work: &mut Work, vault: &GroupVault, loaded: &Loaded, kind: &str) -> Result<(), ActorError> {
    let group = work.tx.get::<Group>(vault.group_id).await?;
    let facts = [
        ("group", group.map(|group| group.name).unwrap_or_default()),
        ("group_id", vault.group_id.to_string()),
        ("unlock", loaded.row.ceremony_id.to_string()),
        ("asked_for_by", email(work, loaded.row.user_id).await?),
        ("approved", format!("{} of {}", loaded.progress.approved_units(), loaded.progress.needed)),
        ("expires_at", loaded.row.expires_at.millis().to_string()),
    ];
    let subject = loaded.row.ceremony_id.to_string();
    let to = present(work, vault, &loaded.set_row).await?;
    send(work, kind, &subject, facts.into(), &to).await
}

async fn send(
    work: &mut Work,
    kind: &str,
    subject: &str,
    facts: Vec<(&str, String)>,
    to: &[UserId],
) -> Result<(), ActorError> {
    let facts: Vec<_> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for user in to {
        let found = work.tx.get::<User>(*user).await?.filter(|user| user.state == UserState::Active);
        let Some(found) = found else { continue };
        let text = NoticeText { user: Some(*user), address: &found.email, kind, subject, facts: &facts };
        notices::write(work, text).await?;
    }
    Ok(())
}
