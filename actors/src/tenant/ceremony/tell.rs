//! Word of a ceremony to people: the owner's channels, whoever watches, and every guardian's tenant.

use std::{collections::BTreeSet, time::Duration};

use ocmt_store::tables::{GuardianshipOut, GuardianshipState, Notice, User};
use ocmt_types::{Digest32, GuardianshipId, TenantId};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        handlers::{
            channels::{self, Channel},
            notices::{self, NoticeText},
        },
        recovery::letters::{self, Told},
    },
    events,
    ground::{Loaded, damaged, view},
    state::Event,
    stop::{by_subject, moved, parse_hex},
};
use crate::{
    api::recovery::{CeremonyPurpose, CeremonyState, CeremonyView},
    error::ActorError,
    work::Work,
};

/// The notice whose hand-over the delay counts from.
pub(super) const OPENED: &str = "ceremony.opened";
const PROPOSED: &str = "ceremony.proposed";
/// Timer of a ceremony that guardians opened and whose notice every channel of the owner has refused; its subject is the
/// ceremony.
pub(in crate::tenant) const REFUSED_TIMER: &str = "ceremony.refused";
/// Timer of an address that took the notice and is too young to count: it comes when it does. Its subject is the
/// ceremony and the hash of the address.
pub(in crate::tenant) const SETTLES_TIMER: &str = "ceremony.settles";

/// Tells the owner's channels (if there are news for people), whoever watches, and every guardian's tenant.
pub(super) async fn tell(
    work: &mut Work,
    loaded: &Loaded,
    news: Option<&'static str>,
) -> Result<(), ActorError> {
    let view = view(work, loaded).await?;
    if let Some(kind) = news {
        tell_owner(work, loaded, &view, kind).await?;
    }
    events::note(work, loaded.row.user_id, None, &view).await?;
    let mut spoken = BTreeSet::new();
    for guardian in loaded.set.guardians() {
        tell_guardian(work, loaded, guardian.guardianship, (&view, news), &mut spoken).await?;
    }
    Ok(())
}

/// Word to the owner's channels, those that were removed within the last lock period too.
pub(super) async fn tell_owner(
    work: &mut Work,
    loaded: &Loaded,
    view: &CeremonyView,
    kind: &str,
) -> Result<(), ActorError> {
    let subject = loaded.row.ceremony_id.to_string();
    for channel in of_owner(work, loaded).await? {
        let mut facts = facts(view);
        if channel.is_former {
            facts.push(("former_address".to_owned(), "yes".to_owned()));
        }
        let (user, address) = (Some(loaded.row.user_id), channel.address.as_str());
        let text = NoticeText { user, address, kind, subject: &subject, facts: &facts };
        notices::write(work, text).await?;
    }
    Ok(())
}

async fn of_owner(work: &mut Work, loaded: &Loaded) -> Result<Vec<Channel>, ActorError> {
    let owner = work.tx.get::<User>(loaded.row.user_id).await?.ok_or_else(damaged)?;
    channels::of(work, &owner, lock(loaded)).await
}

fn lock(loaded: &Loaded) -> Duration {
    Duration::from_millis(loaded.set.delays().lock_ms)
}

/// Word to a guardian's tenant, in order by the ceremony's version. Several guardians of one tenant get one each, and the first that
/// is sent there in a step speaks to its channels: `spoken` has the tenants that one goes to already.
pub(super) async fn tell_guardian(
    work: &mut Work,
    loaded: &Loaded,
    guardianship: GuardianshipId,
    (view, news): (&CeremonyView, Option<&str>),
    spoken: &mut BTreeSet<TenantId>,
) -> Result<(), ActorError> {
    let Some(row) = work.tx.get::<GuardianshipOut>(guardianship).await? else { return Ok(()) };
    let Some(tenant) = row.guardian_tenant else { return Ok(()) };
    let (version, view, news) = (loaded.row.version, view.clone(), news.map(str::to_owned));
    // who has left may be unknown there: that word may be refused
    let is_there = !matches!(row.state, GuardianshipState::Resigned | GuardianshipState::Removed);
    let speaks = Some(is_there && spoken.insert(tenant));
    let told = Told { guardianship, version, view, news, speaks };
    letters::send(work, tenant, letters::TOLD, &told).await.map(drop)
}

/// Plain facts for a mail.
pub(in crate::tenant) fn facts(view: &CeremonyView) -> Vec<(String, String)> {
    let mut facts = vec![
        ("ceremony".to_owned(), Digest32(view.id).to_string()),
        ("vault".to_owned(), view.vault.to_string()),
        ("owner".to_owned(), view.owner_email.clone()),
        ("units_needed".to_owned(), view.units_needed.to_string()),
        ("units_approved".to_owned(), view.units_approved.to_string()),
        ("expires_at".to_owned(), view.expires_at.millis().to_string()),
    ];
    if view.purpose == CeremonyPurpose::Override {
        facts.push(("over_a_stop".to_owned(), "yes".to_owned()));
    }
    if view.lost_mailbox {
        facts.push(("new_address".to_owned(), view.requester_email.clone()));
    }
    if let Some(at) = view.releasable_at {
        facts.push(("releasable_at".to_owned(), at.millis().to_string()));
    }
    facts
}

/// What people are told when a ceremony gets there.
pub(super) fn news_of(stage: CeremonyState) -> &'static str {
    match stage {
        CeremonyState::Proposed => PROPOSED,
        CeremonyState::Open => OPENED,
        CeremonyState::Ready => "ceremony.ready",
        CeremonyState::Released => "ceremony.released",
        CeremonyState::Completed => "ceremony.completed",
        CeremonyState::Denied => "ceremony.denied",
        CeremonyState::Vetoed => "ceremony.vetoed",
        CeremonyState::Locked => "ceremony.locked",
        CeremonyState::Expired => "ceremony.expired",
        CeremonyState::Cancelled => "ceremony.cancelled",
    }
}

/// A carrier took a notice: if it is that a ceremony was opened, to an address that was verified before the last lock period, the
/// delay counts from now. Whoever has just put another address into the account hears of it, and nothing begins by that
/// before a lock period has passed since, in the account or out of it.
pub(in crate::tenant) async fn notified(work: &mut Work, notice: &Notice) -> Result<(), ActorError> {
    match waiting(work, notice).await? {
        Some(loaded) => taken(work, loaded, hashed(&notice.address)).await,
        None => Ok(()),
    }
}

/// This address has taken the notice.
async fn taken(work: &mut Work, loaded: Loaded, address: Digest32) -> Result<(), ActorError> {
    let mut channels = of_owner(work, &loaded).await?.into_iter();
    let Some(channel) = channels.find(|channel| hashed(&channel.address) == address) else { return Ok(()) };
    if channel.is_settled {
        return begin(work, loaded).await;
    }
    let subject = format!("{} {address}", loaded.row.ceremony_id);
    work.set_timer(SETTLES_TIMER, &subject, channel.settles_at, &[]).await
}

fn hashed(address: &str) -> Digest32 {
    Digest32(Sha256::digest(address).into())
}

/// The timer: an address that took the notice is settled.
pub(in crate::tenant) async fn settled(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Some((ceremony, address)) = subject.split_once(' ') else { return Ok(()) };
    let Some(address) = parse_hex(address) else { return Ok(()) };
    match by_subject(work, ceremony).await?.filter(waits) {
        Some(loaded) => taken(work, loaded, address).await,
        None => Ok(()),
    }
}

/// The ceremony whose delay waits for this notice.
async fn waiting(work: &mut Work, notice: &Notice) -> Result<Option<Loaded>, ActorError> {
    if notice.kind != OPENED {
        return Ok(None);
    }
    let found = by_subject(work, &notice.subject).await?;
    Ok(found.filter(|loaded| notice.user_id == Some(loaded.row.user_id) && waits(loaded)))
}

fn waits(loaded: &Loaded) -> bool {
    loaded.progress.stage.is_live() && loaded.progress.notified_at.is_none()
}

async fn begin(work: &mut Work, mut loaded: Loaded) -> Result<(), ActorError> {
    let entered = super::ground::advance(work, &mut loaded, Event::Notified).await?;
    moved(work, loaded.row.ceremony_id, entered.iter()).await
}

/// An address of the owner will never take this notice. Where guardians opened the ceremony by their signatures, and no channel is
/// left, the delay counts one lock period from now: nobody is there to be told.
pub(in crate::tenant) async fn refused(work: &mut Work, notice: &Notice) -> Result<(), ActorError> {
    let Some(loaded) = waiting(work, notice).await? else { return Ok(()) };
    if !loaded.progress.is_signed_for() {
        return Ok(());
    }
    let told = Notice::subject.eq(&notice.subject).and(Notice::user_id.eq(notice.user_id));
    let told = work.tx.find::<Notice>(told).await?;
    let mut opened = told.iter().filter(|row| row.kind == OPENED);
    if opened.all(notices::is_refused) {
        let at = work.now + lock(&loaded);
        work.set_timer(REFUSED_TIMER, &notice.subject, at, &[]).await?;
    }
    Ok(())
}

/// The timer.
pub(in crate::tenant) async fn fire(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    match by_subject(work, subject).await?.filter(waits) {
        Some(loaded) => begin(work, loaded).await,
        None => Ok(()),
    }
}
