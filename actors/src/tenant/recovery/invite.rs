//! Asking and accepting.
//!
//! An invitation answers alike whether the address has an account or not: the row is written, a mail goes to
//! the address, and a timer looks the address up until somebody with an account is behind it.

use std::time::Duration;

use ocmt_store::tables::{
    GuardianshipIn, GuardianshipOut, GuardianshipState as State, Timer, User, UserState,
};
use ocmt_types::{Digest32, GuardianshipId, TenantId};

use super::{
    super::{
        handlers::{
            identity_of,
            notices::{self, NoticeText},
        },
        vault,
    },
    letters::{self, Accepted, Invited},
    list,
};
use crate::{
    api::recovery::{AcceptGuardianship, Done, GuardianKeys, Guardianship, InviteGuardian},
    authorize::{Action, Object},
    email,
    error::ActorError,
    work::{Handle, Work},
};

/// Timer that looks for the account of an invited address; its subject is the guardianship.
pub(in crate::tenant) const FIND: &str = "guardian.find";
const INVITATION_LASTS: Duration = Duration::from_secs(14 * 24 * 3600);
const FIRST_LOOK_AGAIN: Duration = Duration::from_secs(2);
const LONGEST_BETWEEN_LOOKS: Duration = Duration::from_secs(600);
/// Live guardianships of one vault: a few more than a set can seat.
const MOST_GUARDIANSHIPS: usize = 40;

impl Handle for InviteGuardian {
    async fn handle(self, work: &mut Work) -> Result<Guardianship, ActorError> {
        let vault = vault::ground::load(work, Action::ChangeGuardians, Some(self.vault)).await?;
        let who = work.user()?;
        let owner = work.tx.get::<User>(who.user).await?.ok_or(ActorError::NotFound)?;
        let address = email::normalised(&self.email)?;
        if address == owner.email {
            return Err(ActorError::invalid("email", "is your own: nobody guards their own vault"));
        }
        if !(1..=18).contains(&self.units) {
            return Err(ActorError::invalid("units", "must be 1 to 18"));
        }
        let live = live_of_vault(work, vault.vault_id).await?;
        if live.iter().any(|row| row.guardian_email == address) {
            return Err(ActorError::AlreadyExists("a guardianship of this address"));
        }
        if live.len() >= MOST_GUARDIANSHIPS {
            let why = format!("a vault has at most {MOST_GUARDIANSHIPS} guardianships: end one first");
            return Err(ActorError::exhausted("TOO_MANY_GUARDIANS", why));
        }
        let row = GuardianshipOut {
            tenant_id: work.ownership.tenant,
            guardianship_id: work.env.id(),
            user_id: who.user,
            vault_id: vault.vault_id,
            guardian_email: address,
            guardian_tenant: None,
            guardian_user: None,
            units: i64::from(self.units),
            state: State::Invited,
            identity_public: None,
            set_id: None,
            created_at: work.now,
            updated_at: work.now,
            expires_at: work.now + INVITATION_LASTS,
            locked_at: None,
            drill: None,
            drilled_at: None,
        };
        work.tx.insert(&row).await?;
        let id = row.guardianship_id.to_string();
        let facts = [("owner".to_owned(), owner.email.clone()), ("units".to_owned(), self.units.to_string())];
        let text = NoticeText {
            user: None,
            address: &row.guardian_email,
            kind: "guardian.invited",
            subject: &id,
            facts: &facts,
        };
        notices::write(work, text).await?;
        work.set_timer(FIND, &id, work.now, &[0]).await?;
        work.object = format!("guardianship/{id}");
        list::outward(work, &row).await
    }
}

/// Guardianships of a vault that are not over.
pub(super) async fn live_of_vault(
    work: &mut Work,
    vault: ocmt_types::VaultId,
) -> Result<Vec<GuardianshipOut>, ActorError> {
    let mut rows = work.tx.find::<GuardianshipOut>(GuardianshipOut::vault_id.eq(vault)).await?;
    rows.retain(|row| !is_over(row.state));
    Ok(rows)
}

pub(super) fn is_over(state: State) -> bool {
    matches!(state, State::Resigned | State::Removed)
}

/// The timer of an unanswered invitation: finds its person, or ends it.
pub(in crate::tenant) async fn find(work: &mut Work, timer: &Timer) -> Result<(), ActorError> {
    let Ok(id) = timer.subject.parse::<GuardianshipId>() else { return Ok(()) };
    let Some(row) = work.tx.get::<GuardianshipOut>(id).await? else { return Ok(()) };
    if row.state != State::Invited {
        return Ok(());
    }
    if work.now >= row.expires_at {
        work.tx.update(&GuardianshipOut { state: State::Removed, updated_at: work.now, ..row }).await?;
        return Ok(());
    }
    let behind = work.tx.addresses(&row.guardian_email).await?;
    if behind.is_empty() {
        let tries = timer.payload.first().copied().unwrap_or(0);
        let wait = FIRST_LOOK_AGAIN.saturating_mul(1 << tries.min(16)).min(LONGEST_BETWEEN_LOOKS);
        let at = (work.now + wait).min(row.expires_at);
        return work.set_timer(FIND, &timer.subject, at, &[tries.saturating_add(1)]).await;
    }
    let owner = work.tx.get::<User>(row.user_id).await?.ok_or(ActorError::NotFound)?;
    for entry in behind {
        let letter = Invited {
            guardianship: id,
            vault: row.vault_id,
            owner: row.user_id,
            owner_email: owner.email.clone(),
            owner_identity: identity_of(&owner).map(|key| key.verify_key),
            email: row.guardian_email.clone(),
            units: row.units,
            invited_at: row.created_at,
            expires_at: row.expires_at,
        };
        letters::send(work, entry.tenant_id, letters::INVITED, &letter).await?;
    }
    work.set_timer(FIND, &timer.subject, row.expires_at, &[]).await
}

/// At the guardian's tenant.
pub(super) async fn invited(work: &mut Work, from: TenantId, letter: Invited) -> Result<Vec<u8>, ActorError> {
    if let Some(row) = work.tx.get::<GuardianshipIn>(letter.guardianship).await? {
        return if row.owner_tenant == from { Ok(Vec::new()) } else { Err(ActorError::NotFound) };
    }
    let found = work.tx.first::<User>(User::email.eq(&letter.email)).await?;
    let user = found.filter(|user| user.state == UserState::Active).ok_or(ActorError::NotFound)?;
    let row = GuardianshipIn {
        tenant_id: work.ownership.tenant,
        guardianship_id: letter.guardianship,
        user_id: user.user_id,
        owner_tenant: from,
        owner_user: letter.owner,
        owner_email: letter.owner_email,
        owner_identity: letter.owner_identity.map(Digest32),
        vault_id: letter.vault,
        units: letter.units,
        state: State::Invited,
        identity_public: None,
        set_id: None,
        dealt_at: None,
        set_body: None,
        sealed_units: None,
        created_at: letter.invited_at,
        updated_at: work.now,
        expires_at: letter.expires_at,
        drill: None,
        drilled_at: None,
    };
    work.tx.insert(&row).await?;
    Ok(Vec::new())
}

impl Handle for AcceptGuardianship {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let row = inward_of(work, self.guardianship).await?;
        let same = row.identity_public.as_deref() == Some(&pack(&self.keys)[..]);
        if is_over(row.state) || (row.state != State::Invited && !same) {
            return Err(ActorError::precondition("NOT_INVITED", "the invitation was answered or has ended"));
        }
        let user = work.tx.get::<User>(row.user_id).await?.ok_or(ActorError::NotFound)?;
        let letter = Accepted {
            guardianship: row.guardianship_id,
            guardian: row.user_id,
            email: user.email,
            keys: self.keys,
        };
        work.answer_after = Some(letters::send(work, row.owner_tenant, letters::ACCEPTED, &letter).await?);
        Ok(Done)
    }
}

/// The guardian's side of a guardianship of the caller's.
pub(super) async fn inward_of(
    work: &mut Work,
    guardianship: GuardianshipId,
) -> Result<GuardianshipIn, ActorError> {
    let found = work.tx.get::<GuardianshipIn>(guardianship).await?;
    let row = work.authorize_found(Action::ActAsGuardian, found, |row| Object::of(row.user_id))?;
    work.object = format!("guardianship/{guardianship}");
    Ok(row)
}

/// At the owner's tenant.
pub(super) async fn accepted(
    work: &mut Work,
    from: TenantId,
    letter: Accepted,
) -> Result<Vec<u8>, ActorError> {
    let found = work.tx.get::<GuardianshipOut>(letter.guardianship).await?;
    let row = found.filter(|row| row.guardian_email == letter.email).ok_or(ActorError::NotFound)?;
    let keys = pack(&letter.keys);
    if row.guardian_tenant == Some(from)
        && row.guardian_user == Some(letter.guardian)
        && row.identity_public.as_deref() == Some(&keys[..])
        && !is_over(row.state)
    {
        return Ok(Vec::new());
    }
    if row.state != State::Invited || work.now >= row.expires_at {
        return Err(ActorError::precondition("NOT_INVITED", "the invitation was answered or has ended"));
    }
    for other in live_of_vault(work, row.vault_id).await? {
        let same_person = other.guardian_tenant == Some(from) && other.guardian_user == Some(letter.guardian);
        let same_keys = other.identity_public.as_deref().is_some_and(|stored| shares_a_key(stored, &keys));
        if same_person || same_keys {
            return Err(ActorError::precondition("GUARDS_ALREADY", "one person guards a vault once"));
        }
    }
    let row = GuardianshipOut {
        guardian_tenant: Some(from),
        guardian_user: Some(letter.guardian),
        identity_public: Some(keys.to_vec()),
        state: State::Accepted,
        updated_at: work.now,
        ..row
    };
    work.tx.update(&row).await?;
    work.tx.clear_timer(FIND, &row.guardianship_id.to_string()).await?;
    let owner = work.tx.get::<User>(row.user_id).await?.ok_or(ActorError::NotFound)?;
    let facts = [("guardian".to_owned(), row.guardian_email.clone())];
    let subject = row.guardianship_id.to_string();
    let text = NoticeText {
        user: Some(owner.user_id),
        address: &owner.email,
        kind: "guardian.accepted",
        subject: &subject,
        facts: &facts,
    };
    notices::write(work, text).await?;
    Ok(Vec::new())
}

/// Back at the guardian's: the owner's tenant has answered.
pub(super) async fn acceptance_settled(
    work: &mut Work,
    letter: Accepted,
    result: &Result<Vec<u8>, ActorError>,
) -> Result<(), ActorError> {
    let Some(mut row) = work.tx.get::<GuardianshipIn>(letter.guardianship).await? else { return Ok(()) };
    if row.state != State::Invited {
        return Ok(());
    }
    match result {
        Ok(_) => {
            row.state = State::Accepted;
            row.identity_public = Some(pack(&letter.keys).to_vec());
        }
        Err(error) if error.reason() == "GUARDS_ALREADY" => return Ok(()),
        // answered from elsewhere, taken back, or expired
        Err(_) => row.state = State::Removed,
    }
    row.updated_at = work.now;
    work.tx.update(&row).await?;
    Ok(())
}

/// Two keys as a column holds them.
pub(super) fn pack(keys: &GuardianKeys) -> [u8; 64] {
    let mut packed = [0; 64];
    packed[..32].copy_from_slice(&keys.signing);
    packed[32..].copy_from_slice(&keys.sealing);
    packed
}

pub(super) fn unpack(stored: &[u8]) -> Option<GuardianKeys> {
    let (signing, sealing) = stored.split_first_chunk::<32>()?;
    Some(GuardianKeys { signing: *signing, sealing: sealing.try_into().ok()? })
}

fn shares_a_key(stored: &[u8], keys: &[u8; 64]) -> bool {
    stored.get(..32) == keys.get(..32) || stored.get(32..) == keys.get(32..)
}
