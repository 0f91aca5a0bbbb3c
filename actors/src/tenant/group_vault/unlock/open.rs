//! Asking: all that the requester chose is checked against the set and the clock, the release key is made and wrapped,
//! and everybody is told.

use std::time::Duration;

use ocmt_crypto::ceremony::{Ceremony as Params, Purpose};
use ocmt_store::tables::{
    Ceremony, CeremonyPurpose, CeremonyState as Stored, GroupPart, GroupVault, GuardianSet, Session,
};
use ocmt_types::{SessionId, UserId};

use super::{TIMER, admin_of, cell, live_of, load, set_in_force, view};
use crate::{
    api::group_unlocks::{OpenGroupUnlock, UnlockView},
    authorize::Action,
    error::ActorError,
    tenant::{
        ceremony::{
            ground::{self, Loaded},
            open,
        },
        session_row,
    },
    work::{Handle, Work},
};

/// How far the requester's clock may be from ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(15 * 60);
/// How long an unlock lasts, from asking to its end.
const SHORTEST: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Unlocks of one vault that are not over, and those of one requester: each tells many people.
const MOST_LIVE: usize = 8;
const MOST_OWN: usize = 2;
/// Those of one vault that one requester asks for in [`LONGEST`], over or not.
const MOST_ASKED: i64 = 20;

impl Handle for OpenGroupUnlock {
    async fn handle(self, work: &mut Work) -> Result<UnlockView, ActorError> {
        let who = work.user()?;
        let vault = admin_of(work, Action::RequestUnlock, self.group).await?;
        let params = Params::decode(&self.params)
            .map_err(|_| ActorError::invalid("params", "are not those of an unlock"))?;
        let set = set_in_force(work, vault.vault_id).await?.ok_or_else(|| {
            let why = "this vault opens for each who takes part: nobody has to be asked";
            ActorError::precondition("NOT_SHARED", why)
        })?;
        let id = params.hash();
        work.object = format!("ceremony/{id}");
        if let Some(mut loaded) = load(work, &vault, id).await? {
            // a repeat; the hash covers every parameter
            if loaded.row.user_id != who.user {
                return Err(ActorError::AlreadyExists("an unlock of these parameters"));
            }
            go_on(work, &mut loaded, who.session).await?;
            return view::of(work, &loaded).await;
        }
        check(work, &params, &set, self.cell.is_some())?;
        if work.tx.get::<GroupPart>((set.set_id, who.user)).await?.is_none() {
            let why = "you hold no part of this vault's key yet: whoever has it open deals it anew with `ocmt group vault \
                       rotate`, and you get one";
            return Err(ActorError::precondition("NO_PART", why));
        }
        bounded(work, &vault, who.user).await?;
        let session = work.tx.get::<Session>(who.session).await?.ok_or(ActorError::NotFound)?;
        let cell = match self.cell {
            Some(asked) => Some(cell::asked(work, &vault, &set, &params, asked).await?),
            None => None,
        };
        let mut row = Ceremony {
            purpose: CeremonyPurpose::Unlock,
            state: Stored::Open,
            // there is no delay to count
            notified_at: Some(work.now),
            matures_at: Some(work.now),
            ..open::new_row(work, &params, &set, &session)?
        };
        if let Some(wrapped) = &row.release_private_wrapped {
            work.check_wrapped(wrapped).await?;
        }
        if let Some(cell) = cell {
            row.opened_by = cell::no_session();
            work.tx.insert(&cell).await?;
        }
        work.tx.insert(&row).await?;
        work.set_timer(TIMER, &id.to_string(), row.expires_at, &[]).await?;
        let loaded = load(work, &vault, id).await?.ok_or_else(ground::damaged)?;
        view::announce(work, &vault, &loaded).await?;
        view::of(work, &loaded).await
    }
}

/// Whoever asked has signed in anew since: a session ends when it is idle for long, and that must not take what was approved.
/// One session has it open at a time. The parts stay sealed to the device that asked.
async fn go_on(work: &mut Work, loaded: &mut Loaded, session: SessionId) -> Result<(), ActorError> {
    let into_cell = loaded.params.purpose == Purpose::Cell;
    if into_cell || loaded.row.opened_by == session || !loaded.progress.stage.is_live() {
        return Ok(());
    }
    let guard = Ceremony::version.eq(loaded.row.version);
    loaded.row.opened_by = session;
    loaded.row.version += 1;
    if !work.tx.update_if(&loaded.row, guard).await? {
        return Err(ActorError::Aborted("the unlock"));
    }
    work.details.push(("session".to_owned(), session.to_string()));
    session_row::end_streams(work, loaded.row.user_id).await
}

/// Each unlock tells everybody who holds a part: nobody floods them.
async fn bounded(work: &mut Work, vault: &GroupVault, who: UserId) -> Result<(), ActorError> {
    let live = live_of(work, vault).await?;
    let own = live.iter().filter(|loaded| loaded.row.user_id == who).count();
    if live.len() >= MOST_LIVE || own >= MOST_OWN {
        let why = "too many unlocks of this vault are not over: cancel one of yours, or wait for an end";
        return Err(ActorError::exhausted("TOO_MANY_UNLOCKS_OPEN", why));
    }
    let lately = Ceremony::vault_id
        .eq(vault.vault_id)
        .and(Ceremony::user_id.eq(who))
        .and(Ceremony::opened_at.gt(work.now - LONGEST));
    if work.tx.count::<Ceremony>(lately).await? >= MOST_ASKED {
        let why = "you have asked to open this vault 20 times in 24 hours: ask again tomorrow, or another administrator does";
        return Err(ActorError::exhausted("ASKED_TOO_OFTEN", why));
    }
    Ok(())
}

fn check(work: &Work, params: &Params, set: &GuardianSet, into_cell: bool) -> Result<(), ActorError> {
    let wrong = |why: String| ActorError::invalid("params", why);
    let purpose = if into_cell { Purpose::Cell } else { Purpose::Unlock };
    if params.scope.tenant != work.ownership.tenant || params.purpose != purpose {
        return Err(wrong("are not those of an unlock of this vault".to_owned()));
    }
    params.check(&ground::signed_set(set)?).map_err(|error| wrong(error.to_string()))?;
    if params.delay_ms != 0 {
        return Err(wrong("have a delay: an unlock has none".to_owned()));
    }
    let apart = params.opened_at.since(work.now).max(work.now.since(params.opened_at));
    if apart > CLOCKS_DIFFER {
        return Err(wrong("were opened at another time than now: set the clock".to_owned()));
    }
    if params.expires_at < work.now + SHORTEST || params.expires_at > work.now + LONGEST {
        return Err(wrong("last for less than 5 minutes or for more than 24 hours from now".to_owned()));
    }
    Ok(())
}
