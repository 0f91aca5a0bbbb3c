//! The vault of a group, from a member's device. It opens by the member's own identity key, so by the member's own vault.
//!
//! Nobody is believed but who was compared: a member believes the administrator whom their acceptance names, and an
//! administrator seals to keys that this device has pinned.

mod admin;
mod appoint;
mod cell;
mod member;
mod unlock;
mod watch;

pub use appoint::Appointed;
pub use cell::{CellAsked, GroupCell, Known};
pub use unlock::{Unlock, UnlockAct, UnlockReview};

use ocmt_crypto::{group::Admission, vault::UnlockedVault};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, GroupId, SlotId, SystemClock, Timestamp, UserId, VaultId};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, present},
    group::{self, MemberRole},
    share::PersonKeys,
    vault::Vault,
    wire::time,
};

/// How far somebody takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Has not said that they take part.
    None,
    /// Has, and waits for an administrator.
    Accepted,
    /// Has the vault's key.
    Admitted,
}

/// A member of the group, and how far they take part in its vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Who.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// What they may do in the group.
    pub role: MemberRole,
    /// How far.
    pub part: Part,
    #[serde(skip)]
    acceptance: Vec<u8>,
    #[serde(skip)]
    admission: Vec<u8>,
    #[serde(skip)]
    slot: Option<SlotId>,
}

/// A group's vault as the node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupVaultStatus {
    /// The vault; none if the group has none yet.
    pub vault: Option<VaultId>,
    /// Since when it is due for new keys, because somebody who had its key takes part no more, or had it for a time that is
    /// over; none if it is not.
    pub due_since: Option<Timestamp>,
    /// How many administrators open it together; 0 if each who takes part opens it.
    pub needed: u32,
    /// How many hold a part of its key.
    pub parts: u32,
    /// All members of the group.
    pub participants: Vec<Participant>,
}

impl GroupVaultStatus {
    /// The member with this address.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is none.
    pub fn of(&self, email: &str) -> Result<&Participant, ClientError> {
        let found = self.participants.iter().find(|one| one.email.eq_ignore_ascii_case(email));
        found.ok_or_else(|| {
            ClientError::Usage(format!("{email} is not in this group: `ocmt group add` first"))
        })
    }

    fn vault(&self) -> Result<VaultId, ClientError> {
        self.vault.ok_or_else(|| {
            let text =
                "the group has no vault yet: an administrator of it makes one with `ocmt group vault create`";
            ClientError::Usage(text.to_owned())
        })
    }
}

/// An opened vault of a group, beside the own vault that it was opened by.
pub struct GroupVault<'o> {
    own: &'o Vault,
    vault: Vault,
    group: GroupId,
    /// How many open it together, by the set that the vault's own key signed and that opened it: no node lowers it. None if it
    /// was opened by the own slot.
    together: Option<u8>,
}

impl Client {
    /// Who takes part in a group's vault.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn group_vault(&self, group: GroupId) -> Result<GroupVaultStatus, ClientError> {
        let request = pb::GetGroupVaultRequest { group_id: group.to_string() };
        let answer = self.groups().get_group_vault(request).await?.into_inner();
        let vault = match answer.vault_id.as_str() {
            "" => None,
            named => Some(id(named, "vault_id")?),
        };
        Ok(GroupVaultStatus {
            vault,
            due_since: answer.rotation_due_since.as_ref().map(time),
            needed: answer.units_needed,
            parts: answer.units_total,
            participants: answer.participants.into_iter().map(participant).collect::<Result<_, _>>()?,
        })
    }
}

fn participant(from: pb::VaultParticipant) -> Result<Participant, ClientError> {
    let who = group::member(present(from.member, "member")?)?;
    let slot = match from.slot_id.as_str() {
        "" => None,
        named => Some(id(named, "slot_id")?),
    };
    let part = match (from.acceptance.is_empty(), from.admission.is_empty()) {
        (_, false) => Part::Admitted,
        (false, true) => Part::Accepted,
        (true, true) => Part::None,
    };
    Ok(Participant {
        user: who.user,
        email: who.email,
        role: who.role,
        part,
        acceptance: from.acceptance.to_vec(),
        admission: from.admission.to_vec(),
        slot,
    })
}

/// What an administrator says of the vault as it is now.
fn admission(open: &UnlockedVault, group: GroupId, to: &PersonKeys, slot: Option<SlotId>) -> Admission {
    Admission {
        group,
        scope: open.scope(),
        member: to.signing,
        sealing: to.sealing,
        verify_key: open.keyring().vault_signing.verify_key(),
        identity: open.keyring().identity_signing.verify_key(),
        slot,
        epoch: open.epoch(),
        admitted_at: SystemClock.now(),
    }
}
