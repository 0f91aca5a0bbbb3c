//! Going on over a veto or a lock: guardians of k + 1 units sign for the ceremony that overrides it, which opens with the
//! last of them. Neither veto nor lock stops that one; whoever has the vault open can retire the set that it stands on.
//!
//! And for an owner who has lost the mailbox too: guardians of k units sign for the ceremony and the address that it was asked
//! from (ADR 0046).

use ocmt_crypto::{
    ceremony::{Ceremony as Params, StopStatement, Verdict as Said, lost_mailbox},
    sign::VerifyKey,
};
use ocmt_store::tables::{
    Approval, Assurance, Ceremony, CeremonyState as Stored, GuardianSetState, Session, Vault, Verdict,
};
use ocmt_types::GuardianshipId;

use super::{
    super::{handlers::email_change, recovery, session_row},
    ground::{self, Loaded, advance},
    state::Event,
    stop::{moved, retire_all},
};
use crate::{
    api::recovery::{CeremonyState, Vetoed},
    error::ActorError,
    work::Work,
};

/// Whether what these parameters override was stopped, over the same set.
pub(super) async fn check(
    work: &mut Work,
    params: &Params,
    statements: &[Vec<u8>],
) -> Result<(), ActorError> {
    let Some(stopped) = params.overrides else {
        if statements.is_empty() {
            return Ok(());
        }
        return Err(ActorError::invalid("overrides", "are for a ceremony that goes on over a stopped one"));
    };
    let before = work.tx.get::<Ceremony>(stopped).await?;
    let was_stopped = before.is_some_and(|row| {
        row.vault_id == params.scope.vault
            && row.set_id == params.set
            && matches!(row.state, Stored::Vetoed | Stored::Locked)
    });
    if was_stopped {
        return Ok(());
    }
    Err(ActorError::precondition(
        "NOT_STOPPED",
        "no ceremony of that name was stopped by the owner or a guardian of this set: open one as usual",
    ))
}

/// Takes what the requester has of guardians already; the rest sign by themselves.
pub(super) async fn take(
    work: &mut Work,
    loaded: &mut Loaded,
    statements: Vec<Vec<u8>>,
) -> Result<(), ActorError> {
    for body in statements {
        let (guardianship, units) = signed(&body, loaded)?;
        let key = (loaded.row.ceremony_id, guardianship, Verdict::Override);
        // each guardian counts once; with the last one needed it is open, and nobody signs any more
        if loaded.progress.stage != CeremonyState::Proposed || work.tx.get::<Approval>(key).await?.is_some() {
            continue;
        }
        let row = Approval {
            tenant_id: work.ownership.tenant,
            ceremony_id: loaded.row.ceremony_id,
            guardianship_id: guardianship,
            verdict: Verdict::Override,
            units: i64::from(units),
            body,
            received_at: work.now,
        };
        work.tx.insert(&row).await?;
        advance(work, loaded, Event::Agreed(guardianship, units)).await?;
    }
    Ok(())
}

/// Who signed for exactly this ceremony over the one that it names, or for the address that it was asked from, and with how many
/// units.
pub(super) fn signed(body: &[u8], loaded: &Loaded) -> Result<(GuardianshipId, u32), ActorError> {
    let Loaded { params, set, row, .. } = loaded;
    let over = params.overrides.or_else(|| row.new_email.as_deref().map(lost_mailbox));
    let stopped = over.ok_or_else(|| {
        ActorError::precondition("NO_OVERRIDE", "this ceremony goes on over nothing: approve it, or deny it")
    })?;
    let bad = || ActorError::invalid("statement", "is not of a guardian of this ceremony's set for it");
    let (statement, guardian) = StopStatement::verify_guardian(body, &stopped, set).map_err(|_| bad())?;
    if statement.verdict() != (Said::Override { by: params.hash() }) {
        return Err(bad());
    }
    Ok((guardian.guardianship, u32::from(guardian.weight())))
}

/// Guardians of enough units have signed for an owner who has lost the mailbox: the session is a recovery session from now on, and
/// since it is in question whose the account is, its address stays.
pub(super) async fn opened(work: &mut Work, loaded: &Loaded) -> Result<(), ActorError> {
    let session = work.tx.get::<Session>(loaded.row.opened_by).await?;
    if let Some(session) = session.filter(|session| session.assurance == Assurance::Inert) {
        work.tx.update(&Session { assurance: Assurance::Recovery, ..session }).await?;
    }
    email_change::stop(work, loaded.row.user_id, "a recovery of the vault was opened").await.map(drop)
}

/// A session is put out: what it proposed and too few have signed for yet goes with it, so that it does not go on for as long as
/// it proposes. Nothing of one that was given for recovery: whoever has the account for a while does not stop that.
pub(in crate::tenant) async fn end_proposals(work: &mut Work, session: &Session) -> Result<(), ActorError> {
    if session_row::is_of_recovery(session) {
        return Ok(());
    }
    let proposed = Ceremony::opened_by.eq(session.session_id).and(Ceremony::state.eq(Stored::Proposed));
    for row in work.tx.find::<Ceremony>(proposed).await? {
        let Some(mut loaded) = ground::load(work, row.ceremony_id).await? else { continue };
        let event = if row.expires_at > work.now { Event::Cancelled } else { Event::Look };
        let entered = advance(work, &mut loaded, event).await?;
        moved(work, row.ceremony_id, entered.iter()).await?;
    }
    Ok(())
}

/// The owner, with the vault open, retires the guardians: whatever was opened over them ends.
pub(super) async fn retire(work: &mut Work, loaded: Loaded, statement: &[u8]) -> Result<Vetoed, ActorError> {
    let Loaded { row, set, set_row, .. } = loaded;
    let vault = work.tx.get::<Vault>(row.vault_id).await?.ok_or_else(ground::damaged)?;
    StopStatement::verify_retirement(statement, &set.hash(), &VerifyKey(vault.verify_key.0)).map_err(
        |_| {
            ActorError::invalid(
                "retirement",
                "is not signed by the vault's key for the guardians of this ceremony",
            )
        },
    )?;
    // a repeat after an answer that was lost finds it done: what the client does next is still to do
    if set_row.state != GuardianSetState::Retired {
        work.details.push(("retired".to_owned(), set_row.set_id.to_string()));
        recovery::change::dismissed(work, set_row.set_id).await?;
        recovery::retire(work, set_row, &[]).await?;
        retire_all(work, row.vault_id, None).await?;
    }
    let loaded = ground::load(work, row.ceremony_id).await?.ok_or_else(ground::damaged)?;
    Ok(Vetoed { ceremony: ground::view(work, &loaded).await?, deal_anew: true })
}
