//! A change of address comes to count: one transaction of the tenant that moves the user's row and the directory's entry,
//! so at every moment exactly one of the two addresses signs in. Whatever forbids it then ends it, and both addresses hear
//! which of the two it was.

use ocmt_crypto::audit::Outcome;
use ocmt_store::tables::{EmailChange, EmailChangeState, User, UserState};
use ocmt_types::UserId;

use super::{super::channels, TIMER, end, is_recovering, tell_both};
use crate::{
    audit,
    error::ActorError,
    tenant::{api_key, session_row},
    work::Work,
};

/// The timer of a change: of many firings one finds the row.
pub(crate) async fn fire(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Ok(user) = subject.parse::<UserId>() else {
        return Ok(());
    };
    let waits = EmailChange::user_id.eq(user).and(EmailChange::state.eq(EmailChangeState::Confirmed));
    let Some(row) = work.tx.first::<EmailChange>(waits).await? else {
        return Ok(());
    };
    if let Some(due) = row.effective_at.filter(|due| *due > work.now) {
        return work.set_timer(TIMER, subject, due, &[]).await;
    }
    let object = format!("user/{user}");
    let Some(why) = took_over(work, &row).await? else {
        let what = "the account's address was changed; it is reached, and signs in, by the new one alone";
        tell_both(work, &row, "email.changed", what).await?;
        return audit::note(work, "email.change", object, Outcome::Allowed, Vec::new()).await;
    };
    end(work, user).await?;
    let what = format!("the address was not changed: {why}");
    tell_both(work, &row, "email.change_stopped", &what).await?;
    audit::note(work, "email.change", object, Outcome::Failed, vec![("reason".to_owned(), why.to_owned())])
        .await
}

/// Moves the address, or says why not and moves nothing.
async fn took_over(work: &mut Work, row: &EmailChange) -> Result<Option<&'static str>, ActorError> {
    let user = work.tx.get::<User>(row.user_id).await?;
    let user = user.filter(|user| user.state == UserState::Active && user.email == row.old_email);
    let Some(user) = user else {
        return Ok(Some("the account is another than when it was asked for"));
    };
    if is_recovering(work, row.user_id).await? {
        return Ok(Some("a recovery of the vault is under way"));
    }
    if let Some(why) = channels::moved(work, user, &row.new_email).await? {
        return Ok(Some(why));
    }
    // the session that asked has shown who it is
    session_row::end_all(work, row.user_id, Some(row.session_id)).await?;
    api_key::forget_user(work, row.user_id).await?;
    end(work, row.user_id).await?;
    Ok(None)
}
