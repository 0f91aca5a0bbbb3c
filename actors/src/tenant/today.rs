//! What a user may do today, where no call of theirs asks: work that is done in their name later, and what they watch.

use ocmt_store::{
    ReadTx,
    tables::{User, UserState},
};
use ocmt_types::{Id as _, RequestId, SessionId, TenantId, Timestamp, UserId};

use super::handlers::roles;
use crate::{
    authorize::Standing,
    caller::{Assurance, Caller, SignedIn},
    error::ActorError,
};

/// The user as the stored state knows them now; none if they are nobody any more. In no session of theirs: what asks for
/// presence is refused.
pub(super) async fn standing(
    tx: &mut ReadTx,
    tenant: TenantId,
    user: UserId,
    request: RequestId,
    now: Timestamp,
) -> Result<Option<Standing>, ActorError> {
    let found = tx.get::<User>(user).await?;
    let Some(found) = found.filter(|user| user.state == UserState::Active) else { return Ok(None) };
    let authority = roles::authority(tx, found.role, found.custom_role.as_deref()).await?;
    let who = SignedIn {
        user,
        session: SessionId::from_bytes([0; 16]),
        assurance: Assurance::Link,
        authenticated_at: Timestamp(0),
    };
    let caller = Caller::signed_in(tenant, who, request, None);
    Ok(Some(Standing { role: Some(authority.role), only: authority.only, ..Standing::unknown(caller, now) }))
}
