//! An unlock as it moves: who has approved, whether it was released, whether the cell was handed it.

use std::time::Duration;

use ocmt_proto::v1 as pb;
use ocmt_types::{Digest32, GroupId};

use super::{Unlock, unlock::expected};
use crate::{ClientError, client::present, vault::Vault};

/// How often it is looked at: people are called on the telephone meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Vault {
    /// One unlock as it is now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn group_unlock(&self, group: GroupId, which: Digest32) -> Result<Unlock, ClientError> {
        let request =
            pb::GetGroupUnlockRequest { group_id: group.to_string(), ceremony_id: which.0.to_vec().into() };
        let answer = self.client().groups().get_group_unlock(request).await?.into_inner();
        expected(present(answer.unlock, "unlock")?, which)
    }

    /// The same once something of it is other than before. What happens in between of two looks is one change.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next_of_unlock(&self, group: GroupId, before: &Unlock) -> Result<Unlock, ClientError> {
        loop {
            let now = self.group_unlock(group, before.id).await?;
            if moved(before, &now) {
                return Ok(now);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn moved(before: &Unlock, now: &Unlock) -> bool {
    let of = |unlock: &Unlock| (unlock.state, unlock.approved, unlock.acts.len(), unlock.handed_at);
    of(before) != of(now)
}
