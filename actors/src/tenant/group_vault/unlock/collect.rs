//! After release: the parts go to the session that asked, and to no other.

use ocmt_crypto::ceremony::Purpose;
use ocmt_store::tables::{Approval, Verdict};
use ocmt_types::Secret;

use super::{admin_of, decide::found, in_words};
use crate::{
    api::group_unlocks::{CollectGroupUnlock, UnlockParts},
    authorize::Action,
    error::ActorError,
    tenant::ceremony::{ground, state::Event},
    work::{Handle, Work},
};

impl Handle for CollectGroupUnlock {
    async fn handle(self, work: &mut Work) -> Result<UnlockParts, ActorError> {
        let vault = admin_of(work, Action::SeeToUnlock, self.group).await?;
        let mut loaded = found(work, &vault, self.ceremony).await?;
        if loaded.params.purpose == Purpose::Cell {
            let why = "this unlock is into the cell of the group's container: no device gets its parts";
            return Err(ActorError::precondition("INTO_CELL", why));
        }
        // before whose it is: a device that signed in anew is to hear that it is over, and forgets its half
        loaded.progress.step(Event::Collect, work.now).map_err(|refused| in_words(refused.into()))?;
        if work.user()?.session != loaded.row.opened_by {
            return Err(ActorError::PermissionDenied(
                "only the sign-in that asked for an unlock gets the parts: if you signed in anew since, `ocmt group \
                 vault unlock` on the same device goes on with it",
            ));
        }
        // somebody who approved may have been taken out since
        if loaded.progress.approved_units() < loaded.progress.needed {
            return Err(ActorError::precondition(
                "APPROVALS_VOID",
                "somebody who approved administers the group no more: ask for another unlock",
            ));
        }
        let key = ground::release_key(work, &loaded)?;
        let of = Approval::ceremony_id.eq(self.ceremony).and(Approval::verdict.eq(Verdict::Approve));
        let approvals = work.tx.find::<Approval>(of).await?;
        work.details.push(("approvals".to_owned(), approvals.len().to_string()));
        Ok(UnlockParts {
            release_private_key: Secret::new(key),
            approvals: approvals.into_iter().map(|row| row.body).collect(),
            signed_set: loaded.set_row.body,
        })
    }
}
