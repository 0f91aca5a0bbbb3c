//! Making a vault, and unlocking one: fetch everything, check everything, then use a key.

use ocmt_crypto::{
    CryptoError,
    backup_key::BackupKey,
    datakey::VaultScope,
    kdf::{Cost, Passphrase},
    manifest::Leaf,
    object::keyring_id,
    slot::{RecoveryKey, SlotKind, SlotSecret},
    vault::{self, LockedVault, ProofOf, Rollback, Seen, UnlockedVault},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{IdGen, RandomIds, VaultId};
use tonic::Code;

use super::{
    Added, Vault, blocking, to_object, to_pb,
    wire::{digest, to_leaf},
};
use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    hardware::Token,
    passphrase::NewPassphrase,
    state::LocalState,
};

/// What a person opens a vault with.
pub enum Key {
    /// A passphrase.
    Passphrase(Passphrase),
    /// A backup key.
    Backup(BackupKey),
    /// A hardware token.
    Hardware(Token),
    /// The key that guardians gave back.
    Recovery(RecoveryKey),
}

impl Key {
    /// What is tried on the slots; none for a token, which answers each slot's own challenge.
    fn secret(&self) -> Option<SlotSecret<'_>> {
        match self {
            Self::Passphrase(passphrase) => Some(SlotSecret::Passphrase(passphrase)),
            Self::Backup(key) => Some(SlotSecret::Backup(key)),
            Self::Recovery(key) => Some(SlotSecret::Recovery(key)),
            Self::Hardware(_) => None,
        }
    }

    /// The kind of slot it opens, with what to say if there is none.
    const fn kind(&self) -> (SlotKind, &'static str) {
        match self {
            Self::Passphrase(_) => (SlotKind::Passphrase, "no passphrase opens this vault any more"),
            Self::Backup(_) => (SlotKind::Backup, "this vault has no backup key"),
            Self::Hardware(_) => (SlotKind::Hardware, "no hardware token opens this vault"),
            Self::Recovery(_) => (SlotKind::Recovery, "this vault has no guardians"),
        }
    }
}

/// How often a vault that changes while it is read is read again.
const READS: usize = 5;
/// Hardware slots that are tried with the one token that is plugged in: each wants a touch.
const MOST_TOKENS: usize = 4;

/// What the node shows of a vault.
pub(crate) struct Shown {
    pub(crate) scope: VaultScope,
    pub(crate) locked: LockedVault,
    pub(crate) handout: pb::GetKeySlotsResponse,
}

impl Client {
    /// Makes the caller's vault, opened by `passphrase`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if there is one already.
    pub async fn create_vault(
        &self,
        passphrase: NewPassphrase,
        cost: Cost,
        state: &LocalState,
    ) -> Result<Vault, ClientError> {
        let ids: &dyn IdGen = &RandomIds;
        let vault_id: VaultId = ids.id();
        let scope = VaultScope { tenant: self.identity()?.tenant, vault: vault_id };
        let made = blocking(move || {
            let first = Added::Passphrase(passphrase, cost);
            vault::create(scope, &[first.slot()], &mut rand::rng())
        })
        .await?;
        let (open, upload) = made?;
        let request = pb::CreateVaultRequest {
            vault_id: vault_id.to_string(),
            group_id: String::new(),
            verify_key: upload.verify_key.0.to_vec().into(),
            slots: upload.slots.into_iter().map(Into::into).collect(),
            objects: upload.objects.iter().map(to_pb).collect(),
            manifest: upload.manifest.into(),
            idempotency_key: idempotency_key(),
        };
        self.vaults().create_vault(request).await?;
        state.saw(vault_id, &open.seen())?;
        let vault = Vault { client: self.clone(), state: state.clone(), open };
        vault.publish_identity().await?;
        Ok(vault)
    }

    /// Unlocks the caller's vault, or `vault`.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] for a wrong key or a vault that is not what its owner signed;
    /// [`ClientError::RolledBack`].
    pub async fn unlock_vault(
        &self,
        vault: Option<VaultId>,
        key: Key,
        state: &LocalState,
        rollback: Rollback,
    ) -> Result<Vault, ClientError> {
        let shown = self.show_vault(vault).await?;
        let seen = state.seen(shown.scope.vault)?;
        let (kind, none) = key.kind();
        if !shown.locked.slots().iter().any(|slot| slot.kind() == kind) {
            let text = format!("{none}: `ocmt vault slots` lists what does");
            return Err(ClientError::Usage(text));
        }
        let opened = open_by(shown.locked, key, seen, rollback).await?;
        let open = opened.map_err(|error| match error {
            CryptoError::RolledBack { shown, seen } => ClientError::RolledBack { seen, shown },
            other => ClientError::Crypto(other),
        })?;
        present_vault(self, state, open, &shown.handout).await
    }

    /// Fetches all of a vault in one state of it; nothing of it is believed yet.
    pub(crate) async fn show_vault(&self, vault: Option<VaultId>) -> Result<Shown, ClientError> {
        let tenant = self.identity()?.tenant;
        for _ in 0..READS {
            let request =
                pb::GetKeySlotsRequest { vault_id: vault.map(|v| v.to_string()).unwrap_or_default() };
            let handout =
                self.vaults().get_key_slots(request).await.map_err(|status| match status.code() {
                    Code::NotFound if vault.is_none() => {
                        ClientError::Usage("you have no vault yet: run `ocmt vault create`".to_owned())
                    }
                    _ => status.into(),
                })?;
            let handout = handout.into_inner();
            let scope = VaultScope { tenant, vault: id(&handout.vault_id, "vault_id")? };
            let Some(leaves) = self.leaves(scope.vault, &handout).await? else {
                continue;
            };
            let request = pb::GetEntryRequest {
                vault_id: handout.vault_id.clone(),
                object_id: keyring_id().0.to_vec().into(),
                version: 0,
            };
            let keyring = self.vaults().get_entry(request).await?.into_inner();
            let keyring = to_object(present(keyring.object, "object")?)?;
            if !leaves.contains(&keyring.leaf()) {
                continue;
            }
            let slots: Vec<_> = handout.slots.iter().map(|slot| slot.slot.clone()).collect();
            let locked =
                LockedVault::parse(scope, &slots, &handout.successions, &handout.manifest, leaves, keyring)?;
            return Ok(Shown { scope, locked, handout });
        }
        Err(ClientError::Usage("the vault changes faster than it can be read: try again".to_owned()))
    }

    /// All leaves of one state; none if it changed between the pages.
    async fn leaves(
        &self,
        vault: VaultId,
        handout: &pb::GetKeySlotsResponse,
    ) -> Result<Option<Vec<Leaf>>, ClientError> {
        let (mut leaves, mut page_token, mut counter) = (Vec::new(), String::new(), None);
        loop {
            let request = pb::ListEntriesRequest { vault_id: vault.to_string(), page_size: 1000, page_token };
            let page = self.vaults().list_entries(request).await?.into_inner();
            if *counter.get_or_insert(page.counter) != page.counter
                || leaves.len() > ocmt_crypto::manifest::MAX_OBJECTS
            {
                return Ok(None);
            }
            for head in &page.entries {
                leaves.push(to_leaf(head)?);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        let request = pb::GetVaultRequest { vault_id: vault.to_string() };
        let now = self.vaults().get_vault(request).await?.into_inner();
        Ok((now.manifest == handout.manifest).then_some(leaves))
    }
}

/// Tries a key on the slots of its kind.
async fn open_by(
    locked: LockedVault,
    key: Key,
    seen: Option<Seen>,
    rollback: Rollback,
) -> Result<Result<UnlockedVault, CryptoError>, ClientError> {
    let Key::Hardware(token) = key else {
        return blocking(move || {
            let secret = key.secret().ok_or(CryptoError::Refused)?;
            locked.open(&secret, seen.as_ref(), rollback)
        })
        .await;
    };
    let locked = std::sync::Arc::new(locked);
    let asked: Vec<_> =
        locked.slots().iter().filter_map(|slot| Some((slot.id(), *slot.challenge()?))).collect();
    let mut opened = Err(CryptoError::Refused);
    for (slot, challenge) in asked.into_iter().take(MOST_TOKENS) {
        let (locked, answer) = (locked.clone(), token.answer(&challenge).await?);
        let secret = move || locked.open_slot(slot, &SlotSecret::Hardware(&answer), seen.as_ref(), rollback);
        opened = blocking(secret).await?;
        // another of the user's tokens may be meant
        if !matches!(opened, Err(CryptoError::Refused)) {
            break;
        }
    }
    Ok(opened)
}

/// A vault that was just opened: its state is kept before anything of it is used, and the node is told.
pub(crate) async fn present_vault(
    client: &Client,
    state: &LocalState,
    open: UnlockedVault,
    handout: &pb::GetKeySlotsResponse,
) -> Result<Vault, ClientError> {
    let vault = Vault { client: client.clone(), state: state.clone(), open };
    state.saw(vault.id(), &vault.open.seen())?;
    vault.report_unlock(handout).await?;
    Ok(vault)
}

impl Vault {
    /// Resets the back-off of hand-outs, and lets the slot in use take the present verify key in.
    async fn report_unlock(&self, handout: &pb::GetKeySlotsResponse) -> Result<(), ClientError> {
        let Some(slot) = self.open.opened_through() else {
            return Ok(());
        };
        let proof = self.open.prove(ProofOf::Unlock, digest(&handout.challenge, "challenge")?);
        let request = pb::ReportUnlockRequest {
            vault_id: handout.vault_id.clone(),
            handout_id: handout.handout_id.clone(),
            slot_id: slot.to_string(),
            proof: proof.signature.0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        self.client.vaults().report_unlock(request).await?;
        Ok(())
    }
}
