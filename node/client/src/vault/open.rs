//! Making a vault, and unlocking one: fetch everything, check everything, then use a key.

use std::time::Duration;

use ocmt_crypto::{
    CryptoError,
    datakey::VaultScope,
    kdf::Cost,
    manifest::Leaf,
    object::keyring_id,
    slot::SlotKind,
    vault::{self, LockedVault, ProofOf, RenewedSlot, Rollback, UnlockedVault},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{IdGen, RandomIds, VaultId};
use tonic::Code;

use super::{
    Added, Vault, blocking,
    key::{Key, Opened, least_cost},
    to_object, to_pb,
    wire::{digest, to_leaf},
};
use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    passphrase::NewPassphrase,
    state::LocalState,
};

/// How often a vault that changes while it is read is read again.
const READS: usize = 5;
/// The reason of a node that hands no slots out yet.
const TRIED: &str = "TOO_MANY_UNLOCKS";
/// So long is waited without a word, all in all: for another device that is opening the vault just now.
const PATIENCE: Duration = Duration::from_secs(4);
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
            group_acceptance: Vec::new().into(),
            group_admission: Vec::new().into(),
            idempotency_key: idempotency_key(),
        };
        self.vaults().create_vault(request).await?;
        state.saw(vault_id, &open.seen())?;
        let vault = Vault { client: self.clone(), state: state.clone(), open, least: Cost::DEFAULT };
        vault.keep_own_keys()?;
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
        let kind = key.kind();
        // backup keys and hardware tokens may be waited for, by the device that asked
        let claim = match kind {
            SlotKind::Backup | SlotKind::Hardware => Some(state.slot_claim(self.identity()?)?),
            SlotKind::Passphrase | SlotKind::Recovery | SlotKind::Member => None,
        };
        let shown = self.show_vault(vault, kind, claim.as_ref()).await?;
        let seen = state.seen(shown.scope.vault)?;
        let least = least_cost(&shown.handout);
        let opened = key.open(shown.locked, seen, rollback, least).await?.map_err(|error| match error {
            CryptoError::RolledBack { shown, seen } => ClientError::RolledBack { seen, shown },
            other => ClientError::Crypto(other),
        })?;
        let Opened { vault, renewed } = opened;
        let mut vault = Vault { client: self.clone(), state: state.clone(), open: vault, least };
        // its state is kept before anything of it is used
        state.saw(vault.id(), &vault.open.seen())?;
        vault.keep_own_keys()?;
        vault.report_unlock(&shown.handout, renewed).await?;
        Ok(vault)
    }

    /// The key slots; waits for them a little if the vault was tried just now, by this device or another.
    pub(crate) async fn key_slots(
        &self,
        vault_id: String,
        kind: SlotKind,
        claim: Option<&[u8; 32]>,
    ) -> Result<pb::GetKeySlotsResponse, ClientError> {
        let mut waited = Duration::ZERO;
        loop {
            let request = pb::GetKeySlotsRequest {
                vault_id: vault_id.clone(),
                // the same numbers as in its canonical form
                kind: i32::from(kind as u8),
                claim: claim.map(|claim| claim.to_vec().into()).unwrap_or_default(),
            };
            let error = match self.vaults().get_key_slots(request).await {
                Ok(handout) => return Ok(handout.into_inner()),
                Err(status) => ClientError::from(status),
            };
            match error.retry_after() {
                Some(wait) if error.reason().as_deref() == Some(TRIED) && waited + wait <= PATIENCE => {
                    tokio::time::sleep(wait).await;
                    waited += wait;
                }
                _ => return Err(error),
            }
        }
    }

    /// Fetches all of a vault in one state of it; nothing of it is believed yet.
    pub(crate) async fn show_vault(
        &self,
        vault: Option<VaultId>,
        kind: SlotKind,
        claim: Option<&[u8; 32]>,
    ) -> Result<Shown, ClientError> {
        let tenant = self.identity()?.tenant;
        for _ in 0..READS {
            let named = vault.map(|vault| vault.to_string()).unwrap_or_default();
            let handout = self.key_slots(named, kind, claim).await.map_err(|error| match error.code() {
                Some(Code::NotFound) if vault.is_none() => {
                    ClientError::Usage("you have no vault yet: run `ocmt vault create`".to_owned())
                }
                _ => error,
            })?;
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
        let mut pages = Pages::default();
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
            pages.turn(&page.next_page_token)?;
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

/// A vault that was just opened with what guardians gave back: nothing of its slot needs renewing.
pub(crate) async fn present_vault(
    client: &Client,
    state: &LocalState,
    open: UnlockedVault,
    handout: &pb::GetKeySlotsResponse,
) -> Result<Vault, ClientError> {
    let least = least_cost(handout);
    let mut vault = Vault { client: client.clone(), state: state.clone(), open, least };
    state.saw(vault.id(), &vault.open.seen())?;
    vault.keep_own_keys()?;
    vault.report_unlock(handout, None).await?;
    Ok(vault)
}

impl Vault {
    /// Keeps the public identity keys of the open vault on the device, to make one's words of.
    fn keep_own_keys(&self) -> Result<(), ClientError> {
        let own = self.client.identity()?;
        self.state.keep_own(own.tenant, own.user, &self.person_keys())
    }

    /// Ends the count of hand-outs, and has the slot in use stored as it should be today.
    async fn report_unlock(
        &mut self,
        handout: &pb::GetKeySlotsResponse,
        renewed: Option<RenewedSlot>,
    ) -> Result<(), ClientError> {
        let Some(slot) = self.open.opened_through() else {
            return Ok(());
        };
        let proof = self.open.prove(ProofOf::Unlock, digest(&handout.challenge, "challenge")?);
        let request = pb::ReportUnlockRequest {
            vault_id: handout.vault_id.clone(),
            handout_id: handout.handout_id.clone(),
            slot_id: slot.to_string(),
            proof: proof.signature.0.to_vec().into(),
            renewed_slot: renewed.as_ref().map(|it| it.slot().to_bytes().into()).unwrap_or_default(),
            idempotency_key: idempotency_key(),
        };
        let reported = self.client.vaults().report_unlock(request).await?.into_inner();
        if let Some(renewed) = renewed {
            self.open.adopt_slot(renewed);
        }
        let shown: Vec<_> = reported.slots.iter().map(|slot| slot.slot.clone()).collect();
        self.open.adopt_withheld(&shown).map_err(|_| {
            let text = "the ways to open the vault changed while it was opened: try again";
            ClientError::Usage(text.to_owned())
        })
    }
}
