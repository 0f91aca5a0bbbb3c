//! A guardian's side of a ceremony: told of it, and saying what one thinks. It has been said only once the
//! owner's tenant has committed it; the answer waits for that.

use ocmt_crypto::audit::Outcome;
use ocmt_store::tables::{CeremonyRequest, GuardianshipIn, User};
use ocmt_types::{Digest32, GuardianshipId, TenantId};

use super::{
    super::{
        ceremony::{events, read::asked, remind, tell},
        handlers::notices::{self, NoticeText},
    },
    deal::from_owner,
    letters::{self, Heard, SaidIn, Told, VerdictKind},
};
use crate::{
    api::recovery::{
        ApproveCeremony, CeremonyView, DenyCeremony, Done, LockCeremony, OverrideStop, VoiceDoubt,
    },
    audit,
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for ApproveCeremony {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        say(work, self.ceremony, VerdictKind::Approve, self.approval).await
    }
}

impl Handle for DenyCeremony {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        say(work, self.ceremony, VerdictKind::Deny, self.statement).await
    }
}

impl Handle for VoiceDoubt {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        say(work, self.ceremony, VerdictKind::Doubt, self.statement).await
    }
}

impl Handle for LockCeremony {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        say(work, self.ceremony, VerdictKind::Lock, self.statement).await
    }
}

impl Handle for OverrideStop {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        say(work, self.ceremony, VerdictKind::Override, self.statement).await
    }
}

/// Sends it on. Repeatable: the owner's tenant counts each verdict of a guardian once.
async fn say(
    work: &mut Work,
    ceremony: Digest32,
    verdict: VerdictKind,
    body: Vec<u8>,
) -> Result<Done, ActorError> {
    let who = work.user()?;
    work.object = format!("ceremony/{ceremony}");
    let found = asked(work, who.user, ceremony).await?;
    let row = work.authorize_found(Action::ActAsGuardian, found, |row| Object::of(row.user_id))?;
    let letter = SaidIn { ceremony: ceremony.0, guardianship: row.guardianship_id, verdict, body };
    work.answer_after = Some(letters::send(work, row.owner_tenant, letters::SAID, &letter).await?);
    Ok(Done)
}

/// Back from the owner's tenant: committed there, with the ceremony as it is now, or refused.
pub(super) async fn settled(
    work: &mut Work,
    letter: SaidIn,
    result: &Result<Vec<u8>, ActorError>,
) -> Result<(), ActorError> {
    let Ok(answer) = result else { return Ok(()) };
    let heard: Heard = letters::read(answer)?;
    let key = (Digest32(letter.ceremony), letter.guardianship);
    let Some(mut row) = work.tx.get::<CeremonyRequest>(key).await? else { return Ok(()) };
    row.verdict = Some(letter.verdict.into());
    row.updated_at = work.now;
    if row.version < heard.version {
        row.version = heard.version;
        row.state = heard.view.state.into();
        row.view = letters::write(&heard.view);
        events::note(work, row.user_id, Some(row.guardianship_id), &heard.view).await?;
    }
    work.tx.update(&row).await?;
    Ok(())
}

/// A ceremony was opened, or has moved. An older word that comes later is not taken.
pub(super) async fn told(work: &mut Work, from: TenantId, letter: Told) -> Result<Vec<u8>, ActorError> {
    let guardianship = from_owner(work, from, letter.guardianship).await?;
    let key = (Digest32(letter.view.id), letter.guardianship);
    let asked_here = work.tx.find::<CeremonyRequest>(CeremonyRequest::ceremony_id.eq(key.0)).await?;
    let before = asked_here.iter().find(|row| row.guardianship_id == letter.guardianship).cloned();
    let fresh = before.as_ref().is_none_or(|row| row.version < letter.version);
    if fresh {
        let row = CeremonyRequest {
            tenant_id: work.ownership.tenant,
            ceremony_id: key.0,
            guardianship_id: letter.guardianship,
            user_id: guardianship.user_id,
            owner_tenant: from,
            state: letter.view.state.into(),
            view: letters::write(&letter.view),
            version: letter.version,
            verdict: before.and_then(|row| row.verdict),
            opened_at: letter.view.opened_at,
            expires_at: letter.view.expires_at,
            updated_at: work.now,
        };
        work.tx.upsert(&row).await?;
        events::note(work, row.user_id, Some(row.guardianship_id), &letter.view).await?;
    }
    if let Some(kind) = &letter.news {
        notify(work, &guardianship, kind, &letter.view).await?;
        let speaks = letter.speaks.unwrap_or_else(|| tells(&asked_here, letter.guardianship));
        if from != work.ownership.tenant && speaks {
            note(work, &letter, kind).await?;
        }
    }
    Ok(Vec::new())
}

/// Whether the tenant's channels hear a step by this guardian's word, where the owner's node is one that does not say by which:
/// several guardians of one tenant get one each. Where one overtakes another the step may be told twice, or to nobody.
fn tells(asked_here: &[CeremonyRequest], by: GuardianshipId) -> bool {
    let first = asked_here.iter().map(|row| row.guardianship_id).min();
    // who is told first that it was opened tells it
    first.is_none_or(|first| first == by)
}

/// A step, for the audit of the guardian's tenant and its alert channels: which recovery, and not of whom. The owner's own
/// tenant has it already.
async fn note(work: &mut Work, letter: &Told, kind: &str) -> Result<(), ActorError> {
    if remind::KINDS.contains(&kind) {
        return Ok(());
    }
    let details = vec![
        ("news".to_owned(), kind.to_owned()),
        ("guardianship".to_owned(), letter.guardianship.to_string()),
    ];
    let object = format!("ceremony/{}", Digest32(letter.view.id));
    audit::note(work, "ceremony.told", object, Outcome::Allowed, details).await
}

async fn notify(
    work: &mut Work,
    guardianship: &GuardianshipIn,
    kind: &str,
    view: &CeremonyView,
) -> Result<(), ActorError> {
    let Some(user) = work.tx.get::<User>(guardianship.user_id).await? else { return Ok(()) };
    let text = NoticeText {
        user: Some(user.user_id),
        address: &user.email,
        kind,
        subject: &Digest32(view.id).to_string(),
        facts: &tell::facts(view),
    };
    notices::write(work, text).await.map(drop)
}
