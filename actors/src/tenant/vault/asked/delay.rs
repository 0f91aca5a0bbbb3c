//! How long slots are waited for: what the tenant's policy says, and no less than it said until just now. Else whoever has the
//! account of a tenant's owner would take the delay away first.

use std::time::Duration;

use ocmt_crypto::slot::SlotKind;
use ocmt_store::tables::{Timer, User, UserRole, UserState};
use ocmt_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::ActorError,
    policy::{TenantPolicy, positive},
    tenant::{
        handlers::{
            channels,
            notices::{self, NoticeText},
        },
        session_row::tenant_of,
    },
    work::Work,
};

/// Timer of a delay that was made shorter; its subject is the kind, and what it holds counts until it fires.
pub(in crate::tenant) const LOWERED: &str = "slots.delay_lowered";

/// What the owners are told.
const SHORTER: &str = "slots.delay_lowered";

const KINDS: [(SlotKind, &str); 2] =
    [(SlotKind::Backup, "backup_key"), (SlotKind::Hardware, "hardware_token")];

/// What the timer holds.
#[derive(Serialize, Deserialize)]
struct Before {
    delay_ms: i64,
    until: Timestamp,
}

fn of(policy: &TenantPolicy, kind: SlotKind) -> i64 {
    match kind {
        SlotKind::Backup => policy.backup_delay_ms,
        SlotKind::Hardware => policy.hardware_delay_ms,
        SlotKind::Passphrase | SlotKind::Recovery | SlotKind::Member => 0,
    }
}

/// The delay of these kinds today.
pub(super) async fn longest(work: &mut Work, kinds: &[SlotKind]) -> Result<Duration, ActorError> {
    let (_, policy) = tenant_of(&work.env, &mut work.tx).await?;
    let mut longest = 0;
    for (kind, name) in KINDS.into_iter().filter(|(kind, _)| kinds.contains(kind)) {
        longest = longest.max(in_force(work, &policy, kind, name).await?);
    }
    Ok(positive(longest))
}

/// So long an address hears of slots after it was given up: no less than by default, whatever whoever has the account by now
/// has made of the policy.
pub(in crate::tenant) async fn former_hears(work: &mut Work) -> Result<Duration, ActorError> {
    let (_, policy) = tenant_of(&work.env, &mut work.tx).await?;
    let lock = positive(policy.lock_ms.max(TenantPolicy::default().lock_ms));
    Ok(longest(work, &KINDS.map(|(kind, _)| kind)).await?.max(lock))
}

async fn in_force(
    work: &mut Work,
    policy: &TenantPolicy,
    kind: SlotKind,
    name: &str,
) -> Result<i64, ActorError> {
    let timer = work.tx.get::<Timer>((LOWERED.to_owned(), name.to_owned())).await?;
    let before = timer.and_then(|timer| serde_json::from_slice::<Before>(&timer.payload).ok());
    let before = before.filter(|before| work.now < before.until).map_or(0, |before| before.delay_ms);
    Ok(before.max(of(policy, kind)))
}

/// The policy changes: a delay that becomes shorter counts as before for as long as it was, and the owners are told.
pub(in crate::tenant) async fn lowered(
    work: &mut Work,
    before: &TenantPolicy,
    next: &TenantPolicy,
) -> Result<(), ActorError> {
    for (kind, name) in KINDS {
        let in_force = in_force(work, before, kind, name).await?;
        if of(next, kind) >= of(before, kind) || of(next, kind) >= in_force {
            continue;
        }
        let until = work.now + positive(in_force);
        let payload = serde_json::to_vec(&Before { delay_ms: in_force, until }).unwrap_or_default();
        work.set_timer(LOWERED, name, until, &payload).await?;
        let facts = [
            ("with".to_owned(), super::telling::called(Some(kind)).to_owned()),
            ("counts_at".to_owned(), until.millis().to_string()),
        ];
        let owners = User::role.eq(UserRole::Owner).and(User::state.eq(UserState::Active));
        for owner in work.tx.find::<User>(owners).await? {
            tell(work, &owner, name, &facts).await?;
        }
    }
    Ok(())
}

/// One owner, by every channel: whoever takes an account over changes its address first.
async fn tell(
    work: &mut Work,
    owner: &User,
    name: &str,
    facts: &[(String, String)],
) -> Result<(), ActorError> {
    let hears = former_hears(work).await?;
    for channel in channels::of(work, owner, hears).await? {
        let text = NoticeText {
            user: Some(owner.user_id),
            address: &channel.address,
            kind: SHORTER,
            subject: name,
            facts,
        };
        notices::write(work, text).await?;
    }
    Ok(())
}

/// What the timer holds after a suspension.
pub(super) fn put_off(work: &Work, timer: &Timer, held_since: Timestamp) -> Option<Vec<u8>> {
    let before = serde_json::from_slice::<Before>(&timer.payload).ok()?;
    let lowered_at = before.until - positive(before.delay_ms);
    let until = before.until + work.now.since(lowered_at.max(held_since));
    serde_json::to_vec(&Before { until, ..before }).ok()
}
