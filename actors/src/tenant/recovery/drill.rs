//! Drills: a guardian's device shows that the units are there, and nothing of them.

use ocmt_crypto::guardian::DrillChallenge as Signed;
use ocmt_store::tables::{
    GuardianSet, GuardianSetState, GuardianshipIn, GuardianshipOut, GuardianshipState as State, User,
};
use ocmt_types::{TenantId, Timestamp};

use super::{
    super::{
        ceremony::ground::{damaged, signed_set},
        handlers::notices::{self, NoticeText},
    },
    deal::from_owner,
    invite::inward_of,
    letters::{self, Challenged, Drilled},
    list::drill_of,
};
use crate::{
    api::recovery::{AnswerChallenge, ChallengeGuardian, Done, DrillChallenge},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

impl Handle for ChallengeGuardian {
    async fn handle(self, work: &mut Work) -> Result<DrillChallenge, ActorError> {
        let found = work.tx.get::<GuardianshipOut>(self.guardianship).await?;
        let row = work.authorize_found(Action::ReadGuardians, found, |row| Object::of(row.user_id))?;
        work.object = format!("guardianship/{}", row.guardianship_id);
        let (Some(set), State::Active) = (row.set_id, row.state) else {
            return Err(ActorError::precondition("GUARDIAN_NOT_ACTIVE", "this guardian holds no units yet"));
        };
        let signed = Signed::decode(&self.challenge)
            .map_err(|_| ActorError::invalid("challenge", "is no drill challenge"))?;
        if signed.set != set || signed.expires <= work.now {
            return Err(ActorError::invalid("challenge", "is for another set, or over"));
        }
        ask(work, row, self.challenge, signed.expires).await
    }
}

/// Asks a guardian who holds units; what was asked before counts no more.
pub(super) async fn ask(
    work: &mut Work,
    row: GuardianshipOut,
    challenge: Vec<u8>,
    expires_at: Timestamp,
) -> Result<DrillChallenge, ActorError> {
    let tenant = row.guardian_tenant.ok_or_else(damaged)?;
    let challenge = DrillChallenge { id: work.env.id(), challenge, asked_at: work.now, expires_at };
    let row = GuardianshipOut { drill: Some(letters::write(&challenge)), updated_at: work.now, ..row };
    work.tx.update(&row).await?;
    let letter = Challenged { guardianship: row.guardianship_id, challenge: challenge.clone() };
    letters::send(work, tenant, letters::CHALLENGED, &letter).await?;
    Ok(challenge)
}

/// At the guardian's tenant.
pub(super) async fn challenged(
    work: &mut Work,
    from: TenantId,
    letter: Challenged,
) -> Result<Vec<u8>, ActorError> {
    let row = from_owner(work, from, letter.guardianship).await?;
    let before = drill_of(row.drill.as_deref())?;
    let newer = before.as_ref().is_some_and(|open| open.asked_at > letter.challenge.asked_at);
    if row.state == State::Active && !newer {
        let drill = Some(letters::write(&letter.challenge));
        let row = GuardianshipIn { drill, updated_at: work.now, ..row };
        work.tx.update(&row).await?;
        // who has one to answer has heard of it: an owner cannot send letter after letter
        if before.is_none_or(|open| open.expires_at <= work.now) {
            tell(work, &row, &letter.challenge).await?;
        }
    }
    Ok(Vec::new())
}

/// A drill that nobody hears of is not answered.
async fn tell(work: &mut Work, row: &GuardianshipIn, challenge: &DrillChallenge) -> Result<(), ActorError> {
    let Some(user) = work.tx.get::<User>(row.user_id).await? else { return Ok(()) };
    let facts = [
        ("owner".to_owned(), row.owner_email.clone()),
        ("answer_before_at".to_owned(), challenge.expires_at.millis().to_string()),
    ];
    let text = NoticeText {
        user: Some(user.user_id),
        address: &user.email,
        kind: "guardian.drill",
        subject: &row.guardianship_id.to_string(),
        facts: &facts,
    };
    notices::write(work, text).await.map(drop)
}

impl Handle for AnswerChallenge {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let row = inward_of(work, self.guardianship).await?;
        let letter =
            Drilled { guardianship: self.guardianship, challenge: self.challenge, answers: self.answers };
        work.answer_after = Some(letters::send(work, row.owner_tenant, letters::DRILLED, &letter).await?);
        Ok(Done)
    }
}

/// At the owner's tenant: every unit answers, by the drill keys of the signed set.
pub(super) async fn drilled(work: &mut Work, from: TenantId, letter: Drilled) -> Result<Vec<u8>, ActorError> {
    let found = work.tx.get::<GuardianshipOut>(letter.guardianship).await?;
    let row = found.filter(|row| row.guardian_tenant == Some(from)).ok_or(ActorError::NotFound)?;
    let open = drill_of(row.drill.as_deref())?.filter(|open| open.id == letter.challenge);
    let (Some(open), Some(set)) = (open, row.set_id) else { return Err(ActorError::NotFound) };
    let set = work.tx.get::<GuardianSet>(set).await?.ok_or_else(damaged)?;
    if set.state == GuardianSetState::Retired {
        return Err(ActorError::NotFound);
    }
    let set = signed_set(&set)?;
    let wrong = || ActorError::invalid("answers", "do not show that all units are there, or are too late");
    let challenge = Signed::decode(&open.challenge).map_err(|_| damaged())?;
    let mut shown = letter
        .answers
        .iter()
        .map(|answer| set.check_drill(&challenge, answer, work.now))
        .collect::<Result<Vec<u8>, _>>()
        .map_err(|_| wrong())?;
    shown.sort_unstable();
    let guardian = set.guardians().iter().find(|guardian| guardian.guardianship == row.guardianship_id);
    if !guardian.is_some_and(|guardian| guardian.units.clone().eq(shown)) {
        return Err(wrong());
    }
    let row = GuardianshipOut { drill: None, drilled_at: Some(work.now), updated_at: work.now, ..row };
    work.tx.update(&row).await?;
    Ok(letters::write(&work.now))
}

/// Back at the guardian's.
pub(super) async fn answer_settled(
    work: &mut Work,
    letter: Drilled,
    result: &Result<Vec<u8>, ActorError>,
) -> Result<(), ActorError> {
    let (Ok(answer), Some(row)) = (result, work.tx.get::<GuardianshipIn>(letter.guardianship).await?) else {
        return Ok(());
    };
    let open = drill_of(row.drill.as_deref())?.is_some_and(|open| open.id == letter.challenge);
    let drill = if open { None } else { row.drill.clone() };
    let drilled_at = Some(letters::read(answer)?);
    work.tx.update(&GuardianshipIn { drill, drilled_at, updated_at: work.now, ..row }).await?;
    Ok(())
}
