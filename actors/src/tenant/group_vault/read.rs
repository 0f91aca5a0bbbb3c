//! Looking at who takes part.

use std::collections::BTreeMap;

use ocmt_store::tables::{Group, GroupMember, RotationDue as Stored, User, VaultMember};
use ocmt_types::UserId;

use super::{of, participants, role_in, unlock};
use crate::{
    api::group_vaults::{GetGroupVault, GroupVaultView, Participant, RotationDue},
    authorize::{Action, Object, Owner},
    error::ActorError,
    tenant::ceremony::ground::count,
    work::{Handle, Work},
};

impl Handle for GetGroupVault {
    async fn handle(self, work: &mut Work) -> Result<GroupVaultView, ActorError> {
        let who = work.user()?.user;
        let through = role_in(work, self.group, who).await?;
        let found = work.tx.get::<Group>(self.group).await?;
        let object = Object { owner: Owner::Group, through, ..Object::TENANT };
        work.authorize_found(Action::ReadGroup, found, |_| object)?;
        work.object = format!("group/{}", self.group);
        let vault = of(work, self.group).await?;
        let mut parts: BTreeMap<UserId, VaultMember> = match &vault {
            Some(row) => {
                participants(work, row.vault_id).await?.into_iter().map(|row| (row.user_id, row)).collect()
            }
            None => BTreeMap::new(),
        };
        let set = match &vault {
            Some(row) => unlock::set_in_force(work, row.vault_id).await?,
            None => None,
        };
        let mut members = work.tx.find::<GroupMember>(GroupMember::group_id.eq(self.group)).await?;
        members.sort_by_key(|row| (row.added_at, row.user_id));
        let mut all = Vec::with_capacity(members.len());
        for member in members {
            let email = work.tx.get::<User>(member.user_id).await?.map(|user| user.email).unwrap_or_default();
            let part = parts.remove(&member.user_id);
            all.push(Participant {
                user: member.user_id,
                email,
                role: member.role.into(),
                admitted_by: part.as_ref().and_then(|part| part.admitted_by),
                slot: part.as_ref().and_then(|part| part.slot_id),
                admission: part.as_ref().and_then(|part| part.admission.clone()),
                acceptance: part.map(|part| part.acceptance),
            });
        }
        Ok(GroupVaultView {
            due: vault.as_ref().and_then(|row| Some((row.due?.into(), row.due_since?))),
            vault: vault.map(|row| row.vault_id),
            participants: all,
            shared: set.map(|set| (count(set.threshold), count(set.units))),
        })
    }
}

impl From<Stored> for RotationDue {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Left => Self::Left,
            Stored::Unlocked => Self::Unlocked,
        }
    }
}
