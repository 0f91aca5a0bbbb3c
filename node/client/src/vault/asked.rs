//! Who asked for what opens the vault without a passphrase, and refusing it. Needs no open vault.

use ocmt_crypto::slot::SlotKind;
use ocmt_proto::v1 as pb;
use ocmt_types::{HandoutId, Timestamp, VaultId};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    wire::{as_text, time},
};

/// Somebody in a session of the owner's asked for the slots of a backup key or a hardware token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotRequest {
    /// Of which vault.
    #[serde(serialize_with = "as_text")]
    pub vault: VaultId,
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub id: HandoutId,
    /// `backup key`, `hardware token`, or both.
    pub with: &'static str,
    /// When.
    pub asked_at: Option<Timestamp>,
    /// From when on the device that asked gets them.
    pub ready_at: Option<Timestamp>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// The owner has refused it.
    pub refused: bool,
    /// They were handed out.
    pub handed_out: bool,
    /// The client that asked as it called itself.
    pub client: String,
}

impl Client {
    /// What was asked for last of the caller's own vault; none if nothing was, or it has lapsed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn slot_request(&self) -> Result<Option<SlotRequest>, ClientError> {
        let shown = self.vaults().get_vault(pb::GetVaultRequest::default()).await?.into_inner();
        let vault = id(&present(shown.vault, "vault")?.vault_id, "vault_id")?;
        let Some(from) = shown.slot_request else { return Ok(None) };
        let kind = u8::try_from(from.kind).ok().and_then(|kind| SlotKind::from_byte(kind).ok());
        Ok(Some(SlotRequest {
            vault,
            id: id(&from.request_id, "request_id")?,
            with: match kind {
                Some(SlotKind::Backup) => "backup key",
                Some(SlotKind::Hardware) => "hardware token",
                _ => "backup key or hardware token",
            },
            asked_at: from.asked_at.as_ref().map(time),
            ready_at: from.ready_at.as_ref().map(time),
            expires_at: from.expires_at.as_ref().map(time),
            refused: from.refused,
            handed_out: from.handed_out,
            client: from.client,
        }))
    }

    /// Refuses what was asked for last of the caller's own vault: nothing is handed out for it any more.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no request any more, or another than `seen`; `STEP_UP_REQUIRED`; [`ClientError`].
    pub async fn refuse_slot_request(&self, seen: Option<&SlotRequest>) -> Result<(), ClientError> {
        let ask = pb::RefuseSlotRequestRequest {
            vault_id: seen.map(|request| request.vault.to_string()).unwrap_or_default(),
            request_id: seen.map(|request| request.id.to_string()).unwrap_or_default(),
            idempotency_key: idempotency_key(),
        };
        self.vaults().refuse_slot_request(ask).await?;
        Ok(())
    }
}
