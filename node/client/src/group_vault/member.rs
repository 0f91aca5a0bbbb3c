//! A member's side: making the vault, taking part in it, opening it.

use ocmt_crypto::{
    CryptoError,
    datakey::VaultScope,
    group::{Acceptance, Admission},
    slot::{KeySlot, NewSlot, SlotKind, SlotSecret},
    vault::{self, Rollback},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, GroupId, IdGen, RandomIds, SystemClock, VaultId};

use super::{GroupVault, GroupVaultStatus, Part, admission};
use crate::{
    ClientError,
    client::idempotency_key,
    group::MemberRole,
    share::PersonKeys,
    vault::{Vault, present_vault, to_pb},
};

impl Vault {
    /// Makes the vault of a group, opened by this vault's owner alone until others are admitted.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if there is one already, or the caller does not administer the group.
    pub async fn create_group_vault(&self, group: GroupId) -> Result<GroupVault<'_>, ClientError> {
        self.publish_identity().await?;
        let ids: &dyn IdGen = &RandomIds;
        let scope = VaultScope { tenant: self.client().identity()?.tenant, vault: ids.id() };
        let (own, signer) = (self.person_keys(), &self.keys().keyring().identity_signing);
        let (open, upload) = vault::create(scope, &[NewSlot::Member(own.sealing)], &mut rand::rng())?;
        let slot = open.slots().first().map(KeySlot::id);
        let acceptance = Acceptance {
            group,
            scope,
            member: own.signing,
            sealing: own.sealing,
            admitter: own.signing,
            accepted_at: SystemClock.now(),
        };
        let request = pb::CreateVaultRequest {
            vault_id: scope.vault.to_string(),
            group_id: group.to_string(),
            verify_key: upload.verify_key.0.to_vec().into(),
            slots: upload.slots.into_iter().map(Into::into).collect(),
            objects: upload.objects.iter().map(to_pb).collect(),
            manifest: upload.manifest.into(),
            group_acceptance: acceptance.sign(signer)?.into(),
            group_admission: admission(&open, group, &own, slot).sign(signer).into(),
            idempotency_key: idempotency_key(),
        };
        self.client().vaults().create_vault(request).await?;
        self.state().saw(scope.vault, &open.seen())?;
        self.open_group_vault(group, Rollback::Refuse).await
    }

    /// Takes part in the vault of a group, on the word of an administrator whose words were compared on this device.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the group has no vault, or the words of the administrator were not compared.
    pub async fn join_group_vault(&self, group: GroupId, admitter: &str) -> Result<(), ClientError> {
        self.publish_identity().await?;
        let status = self.client().group_vault(group).await?;
        if status.of(admitter)?.role != MemberRole::Admin {
            let text = format!("{admitter} does not administer this group: name somebody who does");
            return Err(ClientError::Usage(text));
        }
        let (own, believed) = (self.person_keys(), self.compared(admitter)?);
        let acceptance = Acceptance {
            group,
            scope: VaultScope { tenant: self.client().identity()?.tenant, vault: status.vault()? },
            member: own.signing,
            sealing: own.sealing,
            admitter: believed.signing,
            accepted_at: SystemClock.now(),
        };
        let request = pb::AcceptGroupVaultRequest {
            group_id: group.to_string(),
            acceptance: acceptance.sign(&self.keys().keyring().identity_signing)?.into(),
            idempotency_key: idempotency_key(),
        };
        self.client().groups().accept_group_vault(request).await?;
        Ok(())
    }

    /// Opens the vault of a group in which this vault's owner takes part.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if nobody has admitted them; [`ClientError::Crypto`] if it is another vault than the one
    /// that the administrator named whom they believe; [`ClientError::RolledBack`].
    pub async fn open_group_vault(
        &self,
        group: GroupId,
        rollback: Rollback,
    ) -> Result<GroupVault<'_>, ClientError> {
        let status = self.client().group_vault(group).await?;
        let vault = status.vault()?;
        let admission = self.believed(group, vault, &status)?;
        if status.needed > 0 {
            return self.open_together(group, &admission, rollback).await;
        }
        let shown = self.client().show_vault(Some(vault), SlotKind::Member, None).await?;
        let secret = SlotSecret::Member(&self.keys().keyring().identity_seal, admission.verify_key);
        let seen = self.state().seen(vault)?;
        let open = shown.locked.open(&secret, seen.as_ref(), rollback).map_err(|error| match error {
            CryptoError::RolledBack { shown, seen } => ClientError::RolledBack { seen, shown },
            other => ClientError::Crypto(other),
        })?;
        let vault = present_vault(self.client(), self.state(), open, &shown.handout).await?;
        Ok(GroupVault { own: self, vault, group, together: None })
    }

    /// What the administrator said of the vault whom one's own acceptance names.
    pub(super) fn believed(
        &self,
        group: GroupId,
        vault: VaultId,
        status: &GroupVaultStatus,
    ) -> Result<Admission, ClientError> {
        let identity = self.client().identity()?;
        let own = status.participants.iter().find(|one| one.user == identity.user);
        let own = own.filter(|one| one.part == Part::Admitted).ok_or_else(|| {
            let text = "you do not take part in this vault: `ocmt group vault join`, then an administrator admits you";
            ClientError::Usage(text.to_owned())
        })?;
        let accepted = Acceptance::open(&own.acceptance, &self.identity_key())?;
        let admission = Admission::open(&own.admission, &accepted.admitter)?;
        admission.answers(&accepted)?;
        let scope = VaultScope { tenant: identity.tenant, vault };
        if (admission.group, admission.scope) != (group, scope) {
            return Err(CryptoError::Refused.into());
        }
        Ok(admission)
    }

    /// The public halves of one's own identity keys.
    pub fn person_keys(&self) -> PersonKeys {
        let keyring = self.keys().keyring();
        PersonKeys { signing: keyring.identity_signing.verify_key(), sealing: keyring.identity_seal.public() }
    }
}
