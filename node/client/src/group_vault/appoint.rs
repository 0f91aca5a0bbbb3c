//! Appointing the container whose cell a group's vault may be opened into: by a device that has the vault open.

use std::time::Duration;

use ocmt_crypto::group_cell::{Appointment, NewAppointment};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, ContainerId, Digest32, NodeId, SystemClock};

use super::{GroupCell, GroupVault, Known};
use crate::{ClientError, cell::Mapping, client::idempotency_key};

/// An appointment that is in force, to be signed anew after a rotation.
pub struct Appointed {
    /// Which container it is.
    pub cell: GroupCell,
    appointment: Appointment,
}

impl GroupVault<'_> {
    /// The container that the vault may be opened into, if the keys that it has now have appointed one.
    ///
    /// # Errors
    /// As [`crate::vault::Vault::group_cell`].
    pub async fn appointed_cell(&self) -> Result<Option<Appointed>, ClientError> {
        let believed = self.own.believed_now(self.group).await?;
        let Some(shown) = self.own.appointed(self.group, &believed).await? else { return Ok(None) };
        // by the keys of the vault that is open here, whatever the node shows as its state
        let present = self.vault.keys().keyring().vault_signing.verify_key();
        let cell = shown.cell();
        let is_present = cell.in_force && shown.appointment.verify_key == present;
        Ok(is_present.then_some(Appointed { cell, appointment: shown.appointment }))
    }

    /// Appoints by the new keys, after a rotation, what was appointed by those before: the same container, host and secrets.
    ///
    /// # Errors
    /// As [`GroupVault::appoint_cell`].
    pub async fn appoint_again(&mut self, before: &Appointed) -> Result<GroupCell, ClientError> {
        let Appointment { container, node, longest_ms, .. } = before.appointment;
        let mapping = before.appointment.open_mapping(&self.vault.keys().keyring().identity_seal)?;
        self.sign_appointment(container, node, longest_ms, &mapping).await
    }

    /// Appoints the cell of one's own container on this host: the vault can be opened into it by several together, and it gets these secrets
    /// and nothing else.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the vault opens for each who takes part, or a secret is missing; [`ClientError::Refused`] without a
    /// fresh proof of presence, or for a container of somebody else.
    pub async fn appoint_cell(
        &mut self,
        container: ContainerId,
        host: NodeId,
        mapping: &[Mapping],
        longest: Duration,
    ) -> Result<GroupCell, ClientError> {
        if self.together.is_none() {
            let text = "each who takes part opens this vault alone, so there is nothing to ask the others for: \
                        `ocmt group vault share-key` changes that";
            return Err(ClientError::Usage(text.to_owned()));
        }
        let entry = |item: &Mapping| Ok((item.variable.clone(), self.vault.entry_id(&item.secret)?));
        let named = mapping.iter().map(entry).collect::<Result<Vec<_>, ClientError>>()?;
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        self.sign_appointment(container, host, longest_ms, &named).await
    }

    async fn sign_appointment(
        &self,
        container: ContainerId,
        node: NodeId,
        longest_ms: u64,
        mapping: &[(String, Digest32)],
    ) -> Result<GroupCell, ClientError> {
        let (scope, now) = (self.vault.keys().scope(), SystemClock.now());
        let known = self.own.state().appointment(scope.vault)?.map_or(0, |(number, _)| number);
        let keyring = self.vault.keys().keyring();
        let appointment = NewAppointment {
            scope,
            group: self.group,
            container,
            node,
            // of the clock, so that it grows over an appointment that nobody here knows
            number: u64::try_from(now.millis()).unwrap_or(0).max(known.saturating_add(1)),
            longest_ms,
            appointed_at: now,
            mapping,
        };
        let signed = appointment.sign(keyring, &mut rand::rng())?;
        let made = Appointment::verify(&signed, &keyring.identity_signing.verify_key())?;
        let request = pb::AppointGroupCellRequest {
            group_id: self.group.to_string(),
            appointment: signed.into(),
            idempotency_key: idempotency_key(),
        };
        self.own.client().groups().appoint_group_cell(request).await?;
        self.own.state().keep_appointment(scope.vault, made.number, made.hash)?;
        // what the others will be shown is what was signed here
        self.own.group_cell(self.group).await?.ok_or(ClientError::Answer("appointment"))
    }
}

/// What this device knows of an appointment; one from before, or another of the same number, is refused.
pub(super) fn judge_appointment(
    known: Option<(u64, Digest32)>,
    appointment: &Appointment,
) -> Result<Known, ClientError> {
    match known {
        None => Ok(Known::First),
        Some((number, _)) if appointment.number > number => Ok(Known::Newer),
        Some(known) if known == (appointment.number, appointment.hash) => Ok(Known::Same),
        Some(_) => Err(ClientError::Usage(
            "the node shows an older appointment of a container than this device has met: nothing was approved".to_owned(),
        )),
    }
}
