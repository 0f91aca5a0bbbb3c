//! Who hears of a request for slots: the owner by letter, whoever watches the vault, the audit and its alert channels.

use ocmt_crypto::{audit::Outcome, slot::SlotKind};
use ocmt_store::tables::{User, Vault, VaultChangeKind};

use super::{Request, TIMER, delay::former_hears};
use crate::{
    audit,
    error::ActorError,
    tenant::{
        handlers::{
            channels,
            notices::{self, NoticeText},
        },
        vault::changes,
    },
    work::Work,
};

/// Somebody asked, and it is waited for.
pub(super) const ASKED: &str = "slots.asked";
/// It can be collected.
pub(super) const READY: &str = "slots.ready";
/// They were handed out.
pub(super) const HANDED_OUT: &str = "slots.handed_out";
/// The owner has refused it.
pub(super) const REFUSED: &str = "slots.refused";
/// Nobody came for them.
pub(super) const LAPSED: &str = "slots.lapsed";

/// A kind in words.
pub(super) const fn called(kind: Option<SlotKind>) -> &'static str {
    match kind {
        Some(SlotKind::Backup) => "backup key",
        Some(SlotKind::Hardware) => "hardware token",
        _ => "backup key or hardware token",
    }
}

/// Tells it, in the transaction of what it tells.
pub(super) async fn tell(
    work: &mut Work,
    vault: &Vault,
    kind: &'static str,
    request: &Request,
) -> Result<(), ActorError> {
    let Some(owner) = vault.owner_user else { return Ok(()) };
    if let Some(owner) = work.tx.get::<User>(owner).await? {
        let at = |name: &str, time: ocmt_types::Timestamp| (name.to_owned(), time.millis().to_string());
        let mut facts =
            vec![("with".to_owned(), called(request.kind()).to_owned()), at("asked_at", request.asked_at)];
        if request.waits() {
            facts.extend([at("ready_at", request.ready_at), at("lapses_at", request.until)]);
        }
        facts.push(("client".to_owned(), request.client.clone()));
        // whoever takes an account over changes its address first
        let hears = former_hears(work).await?;
        for channel in channels::of(work, &owner, hears).await? {
            let text = NoticeText {
                user: Some(owner.user_id),
                address: &channel.address,
                kind,
                subject: &vault.vault_id.to_string(),
                facts: &facts,
            };
            notices::write(work, text).await?;
        }
    }
    changes::note(work, vault.vault_id, vault.manifest_counter, VaultChangeKind::Slots, &[]).await?;
    // what was waited for is more than news of a key in use
    let action = if request.waits() { TIMER } else { HANDED_OUT };
    let what =
        vec![("what".to_owned(), kind.to_owned()), ("with".to_owned(), called(request.kind()).to_owned())];
    audit::note(work, action, format!("vault/{}", vault.vault_id), Outcome::Allowed, what).await
}
