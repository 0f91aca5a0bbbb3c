//! Slots that are not handed out unheard: those of backup keys and hardware tokens, which open a vault without anybody's help.
//!
//! A node shows them to who asks for that kind, and to everybody else with the proof of the unlock, which nobody has who did
//! not open the vault otherwise. Whoever asks is waited for as long as the tenant's policy says; the owner is told at once, and
//! refuses it from any full session. What was waited for is for who shows the claim again that it was asked with: sessions
//! are shorter than the wait.
//!
//! Durable: a timer of the vault holds the one request there is, and is taken, set and read in the tenant's transactions alone,
//! which one node at a time has. So a refusal and a hand-out have an order, over nodes and restarts.

mod delay;
mod held;
mod telling;

use std::time::Duration;

use ocmt_crypto::slot::SlotKind;
use ocmt_store::tables::{Session, Slot, SlotKind as StoredKind, Timer, Vault};
use ocmt_types::{HandoutId, Timestamp, VaultId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub(in crate::tenant) use delay::{LOWERED, former_hears, lowered};
pub(in crate::tenant) use held::put_off;

use super::{
    super::span::span,
    ground::{self, not_a_groups},
};
use crate::{
    api::vault::{Done, GetKeySlots, RefuseSlotRequest, SlotRequest},
    authorize::Action,
    caller::Assurance,
    error::ActorError,
    work::{Handle, Work},
};

/// Timer of what was asked for; its subject is the vault, its payload the request.
pub(in crate::tenant) const TIMER: &str = "slots.asked";
/// Timer of a session that has proved an unlock; its subject is the session. While it stands the session may see staged slots.
pub(in crate::tenant) const OPENED: &str = "slots.opened";

/// How long slots that were waited for can be collected.
const COLLECTABLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// So long the owner is not told again of the same device, where the policy has no delay.
const TOLD_FOR: Duration = Duration::from_secs(3600);
/// Between a refusal and the next request: each tells people.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// What the timer holds.
#[derive(Clone, Serialize, Deserialize)]
struct Request {
    id: HandoutId,
    /// As `SlotKind` numbers it; none for all.
    kind: Option<u8>,
    /// SHA-256 of the claim, or of the session where nothing is waited for.
    by: [u8; 32],
    client: String,
    asked_at: Timestamp,
    ready_at: Timestamp,
    until: Timestamp,
    refused_at: Option<Timestamp>,
    handed_out: bool,
}

impl Request {
    fn waits(&self) -> bool {
        self.ready_at > self.asked_at
    }

    fn kind(&self) -> Option<SlotKind> {
        self.kind.and_then(|kind| SlotKind::from_byte(kind).ok())
    }
}

/// Whether slots of this kind are kept back.
const fn is_kept_back(kind: StoredKind) -> bool {
    matches!(kind, StoredKind::Backup | StoredKind::Hardware)
}

/// The slots of a vault that this call gets; refused while they are waited for.
pub(super) async fn handed_out(
    work: &mut Work,
    vault: &Vault,
    asked: &GetKeySlots,
) -> Result<Vec<Slot>, ActorError> {
    let mut slots = work.tx.find::<Slot>(Slot::vault_id.eq(vault.vault_id)).await?;
    let wanted: Vec<SlotKind> =
        [(StoredKind::Backup, SlotKind::Backup), (StoredKind::Hardware, SlotKind::Hardware)]
            .into_iter()
            .filter(|(stored, kind)| {
                asked.kind.is_none_or(|asked| asked == *kind) && slots.iter().any(|slot| slot.kind == *stored)
            })
            .map(|(_, kind)| kind)
            .collect();
    if wanted.is_empty() || work.user()?.assurance == Assurance::Recovery {
        // a recovery has its own way in, which others have waited for
        slots.retain(|slot| !is_kept_back(slot.kind));
        return Ok(slots);
    }
    ask(work, vault, asked, &wanted).await?;
    slots.retain(|slot| {
        !is_kept_back(slot.kind) || asked.kind.is_none_or(|kind| kind as u8 == number(slot.kind))
    });
    Ok(slots)
}

const fn number(kind: StoredKind) -> u8 {
    match kind {
        StoredKind::Passphrase => SlotKind::Passphrase as u8,
        StoredKind::Backup => SlotKind::Backup as u8,
        StoredKind::Hardware => SlotKind::Hardware as u8,
        StoredKind::Recovery => SlotKind::Recovery as u8,
        StoredKind::Member => SlotKind::Member as u8,
    }
}

/// Goes on if they may be handed out now.
async fn ask(
    work: &mut Work,
    vault: &Vault,
    asked: &GetKeySlots,
    wanted: &[SlotKind],
) -> Result<(), ActorError> {
    let wait = delay::longest(work, wanted).await?;
    let session = work.user()?.session;
    let by = match asked.claim {
        Some(claim) => Sha256::new_with_prefix(b"OCMT slot claim v1\0").chain_update(claim),
        None => Sha256::new_with_prefix(b"OCMT slot session v1\0").chain_update(session.to_string()),
    };
    let (by, kind): ([u8; 32], _) = (by.finalize().into(), asked.kind.map(|kind| kind as u8));
    if let Some(known) = pending(work, vault.vault_id).await? {
        let same = known.by == by && known.kind == kind;
        if same && known.refused_at.is_none() {
            return collect(work, vault, known).await;
        }
        stands_in_the_way(work, &known, same)?;
    }
    if !wait.is_zero() && (asked.kind.is_none() || asked.claim.is_none()) {
        return Err(ActorError::precondition(
            "CLIENT_TOO_OLD",
            "backup keys and hardware tokens of this tenant are waited for, which this program does not know of: take a newer one",
        ));
    }
    let row = work.tx.get::<Session>(session).await?.ok_or(ActorError::NotFound)?;
    let ready_at = work.now + wait;
    let request = Request {
        id: work.env.id(),
        kind,
        by,
        client: row.client,
        asked_at: work.now,
        ready_at,
        until: ready_at + if wait.is_zero() { TOLD_FOR } else { COLLECTABLE },
        refused_at: None,
        handed_out: wait.is_zero(),
    };
    let due = if wait.is_zero() { request.until } else { ready_at };
    keep(work, vault.vault_id, &request, due).await?;
    if wait.is_zero() {
        return telling::tell(work, vault, telling::HANDED_OUT, &request).await;
    }
    telling::tell(work, vault, telling::ASKED, &request).await?;
    // that it was asked stays, though nothing is handed out yet
    work.keeps_refusal = true;
    Err(waits(work, &request))
}

/// The same device asks again for the same.
async fn collect(work: &mut Work, vault: &Vault, mut known: Request) -> Result<(), ActorError> {
    if work.now < known.ready_at {
        return Err(waits(work, &known));
    }
    if !known.handed_out {
        known.handed_out = true;
        keep(work, vault.vault_id, &known, known.until).await?;
        telling::tell(work, vault, telling::HANDED_OUT, &known).await?;
    }
    Ok(())
}

/// One request at a time is waited for; one that was refused is over, and whoever asks again waits again.
fn stands_in_the_way(work: &Work, known: &Request, same: bool) -> Result<(), ActorError> {
    match known.refused_at {
        Some(at) if work.now < at + PAUSE && same => Err(ActorError::precondition(
            "WAY_REFUSED",
            format!(
                "the owner has refused it, and nothing is handed out for it: it can be asked for anew in {}",
                span((at + PAUSE).since(work.now))
            ),
        )),
        Some(at) if work.now < at + PAUSE => Err(ActorError::ResourceExhausted {
            reason: "REFUSED_JUST_NOW",
            why: "a request for this vault's slots was refused just now: wait before the next".to_owned(),
            retry_after: Some((at + PAUSE).since(work.now)),
        }),
        None if known.waits() && !known.handed_out => Err(ActorError::precondition(
            "WAY_ASKED_FOR",
            format!(
                "another device, or this one for another kind, has asked already and may collect until {} from now: if that was \
                 not you, refuse it (`ocmt step-up`, then `ocmt vault slots refuse`), and ask again",
                span(known.until.since(work.now))
            ),
        )),
        _ => Ok(()),
    }
}

fn waits(work: &Work, request: &Request) -> ActorError {
    let why = format!(
        "it was asked for, and the owner is told: in {} this device gets what the {} opens, and for {} from then on. Run the \
         same command again then",
        span(request.ready_at.since(work.now)),
        telling::called(request.kind()),
        span(request.until.since(request.ready_at)),
    );
    ActorError::precondition("WAY_WAITS", why)
}

async fn pending(work: &mut Work, vault: VaultId) -> Result<Option<Request>, ActorError> {
    let timer = work.tx.get::<Timer>((TIMER.to_owned(), vault.to_string())).await?;
    let request = timer.map(|timer| read(&timer.payload)).transpose()?;
    Ok(request.filter(|request| work.now < request.until))
}

fn read(payload: &[u8]) -> Result<Request, ActorError> {
    serde_json::from_slice(payload)
        .map_err(|_| ActorError::unavailable("STORE_DAMAGED", "a stored request for slots is damaged"))
}

async fn keep(work: &mut Work, vault: VaultId, request: &Request, due: Timestamp) -> Result<(), ActorError> {
    work.set_timer(TIMER, &vault.to_string(), due, &encoded(request)).await
}

fn encoded(request: &Request) -> Vec<u8> {
    // ids, numbers and a name: there is nothing in it that JSON cannot hold
    serde_json::to_vec(request).unwrap_or_default()
}

/// What was asked for, for the owner.
pub(super) async fn standing(work: &mut Work, vault: VaultId) -> Result<Option<SlotRequest>, ActorError> {
    Ok(pending(work, vault).await?.map(|request| SlotRequest {
        id: request.id,
        kind: request.kind(),
        asked_at: request.asked_at,
        ready_at: request.ready_at,
        expires_at: request.until,
        refused: request.refused_at.is_some(),
        handed_out: request.handed_out,
        client: request.client,
    }))
}

impl Handle for RefuseSlotRequest {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let vault = ground::load(work, Action::ChangeSlots, self.vault).await?;
        not_a_groups(&vault)?;
        let found = pending(work, vault.vault_id).await?;
        let found = found.filter(|request| self.request.is_none_or(|asked| asked == request.id));
        let mut request = found.ok_or(ActorError::NotFound)?;
        if request.refused_at.is_none() {
            request.refused_at = Some(work.now);
            keep(work, vault.vault_id, &request, request.until).await?;
            telling::tell(work, &vault, telling::REFUSED, &request).await?;
        }
        Ok(Done)
    }
}

/// The timer: slots can be collected from now on, or not any more.
pub(in crate::tenant) async fn fire(work: &mut Work, timer: &Timer) -> Result<(), ActorError> {
    let request = read(&timer.payload)?;
    let Ok(id) = timer.subject.parse::<VaultId>() else { return Ok(()) };
    let Some(vault) = work.tx.get::<Vault>(id).await? else { return Ok(()) };
    if work.now < request.until {
        keep(work, id, &request, request.until).await?;
        return match request.refused_at {
            Some(_) => Ok(()),
            None => telling::tell(work, &vault, telling::READY, &request).await,
        };
    }
    if request.refused_at.is_none() && !request.handed_out {
        telling::tell(work, &vault, telling::LAPSED, &request).await?;
    }
    Ok(())
}

/// A session has proved that it has the vault open: staged slots are no news to it.
pub(super) async fn opened(work: &mut Work, vault: &Vault, lasts: Duration) -> Result<(), ActorError> {
    let kept = work.tx.find::<Slot>(Slot::vault_id.eq(vault.vault_id)).await?;
    if kept.iter().all(|slot| !is_kept_back(slot.kind)) {
        return Ok(());
    }
    let (session, until) = (work.user()?.session.to_string(), work.now + lasts);
    let payload = [vault.vault_id.to_string(), until.millis().to_string()].join(" ");
    work.set_timer(OPENED, &session, until, payload.as_bytes()).await
}

/// The staged slots of a rotation, for who has proved an unlock; none for another as long as one among them is kept back.
pub(super) async fn staged(
    work: &mut Work,
    vault: VaultId,
    slots: Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, ActorError> {
    let kept_back = |slot: &Vec<u8>| {
        ground::parse_slot(slot)
            .is_ok_and(|slot| matches!(slot.kind(), SlotKind::Backup | SlotKind::Hardware))
    };
    if !slots.iter().any(kept_back) {
        return Ok(slots);
    }
    let Ok(who) = work.user() else { return Ok(Vec::new()) };
    let session = who.session.to_string();
    let timer = work.tx.get::<Timer>((OPENED.to_owned(), session)).await?;
    let payload = timer.map(|timer| timer.payload).unwrap_or_default();
    let text = String::from_utf8_lossy(&payload);
    let opened = text.split_once(' ').is_some_and(|(opened, until)| {
        opened == vault.to_string() && until.parse().is_ok_and(|until: i64| until > work.now.millis())
    });
    Ok(if opened { slots } else { Vec::new() })
}

/// The slots that a hand-out may have kept back, for who has just proved an unlock.
pub(super) async fn kept_back(work: &mut Work, vault: VaultId) -> Result<Vec<Slot>, ActorError> {
    let mut slots = work.tx.find::<Slot>(Slot::vault_id.eq(vault)).await?;
    slots.retain(|slot| is_kept_back(slot.kind));
    Ok(slots)
}
